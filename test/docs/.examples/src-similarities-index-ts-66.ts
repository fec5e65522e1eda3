import { attention, causal, product } from "qklab";
const attend = attention({ similarity: product({ members: "l2/poincare(c=2)/cosine" }), pattern: causal() });
