import { attention, causal, l2 } from "qklab";
const attend = attention({ similarity: l2({ beta: 0.5 }), pattern: causal() });
