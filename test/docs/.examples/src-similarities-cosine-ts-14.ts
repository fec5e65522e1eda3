import { attention, causal, cosine } from "qklab";
const attend = attention({ similarity: cosine({ beta: "learned" }), pattern: causal() });
