import { attention, causal, poincare } from "qklab";
const attend = attention({ similarity: poincare({ c: 0.5 }), pattern: causal() });
