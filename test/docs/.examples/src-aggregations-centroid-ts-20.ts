import { attention, causal, centroid, lorentz } from "qklab";
const attend = attention({ similarity: lorentz(), pattern: causal(), aggregation: centroid() });
