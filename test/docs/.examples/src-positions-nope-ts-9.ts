import { attention, causal, dot, nope } from "qklab";
const attend = attention({ similarity: dot(), position: nope(), pattern: causal() });
