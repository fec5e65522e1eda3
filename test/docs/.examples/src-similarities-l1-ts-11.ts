import { attention, causal, l1 } from "qklab";
const attend = attention({ similarity: l1(), pattern: causal() });
