import { attention, causal, dot, softmax } from "qklab";
const attend = attention({ similarity: dot(), pattern: causal(), normaliser: softmax({ sink: "learned" }) });
