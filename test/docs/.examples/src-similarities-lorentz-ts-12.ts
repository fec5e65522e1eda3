import { attention, causal, lorentz } from "qklab";
const attend = attention({ similarity: lorentz({ c: "learned" }), pattern: causal() });
