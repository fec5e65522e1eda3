import { attention, full, maxplus, none, tropical } from "qklab";
const attend = attention({ similarity: tropical(), pattern: full(), normaliser: none(), aggregation: maxplus() });
