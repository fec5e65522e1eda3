import { attention, causal, dot, topk } from "qklab";
const attend = attention({ similarity: dot(), pattern: causal(), selection: topk({ k: 32 }) });
