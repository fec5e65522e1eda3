import { attention, cauchy, causal } from "qklab";
const attend = attention({ similarity: cauchy({ tau: "learned" }), pattern: causal() });
