import { attention, causal, dot, none } from "qklab";
const attend = attention({ similarity: dot(), pattern: causal(), normaliser: none() });
