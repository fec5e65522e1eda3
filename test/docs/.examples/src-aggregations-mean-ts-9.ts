import { attention, causal, l2, mean } from "qklab";
const attend = attention({ similarity: l2(), pattern: causal(), aggregation: mean() });
