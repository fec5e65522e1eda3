import { attention, dot, full, sigmoid } from "qklab";
const attend = attention({ similarity: dot(), pattern: full(), normaliser: sigmoid() });
