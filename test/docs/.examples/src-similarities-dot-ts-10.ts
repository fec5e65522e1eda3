import { attention, causal, dot } from "qklab";
const attend = attention({ similarity: dot(), pattern: causal() });
