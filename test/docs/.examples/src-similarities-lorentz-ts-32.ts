import { attention, causal, lorentzDistance } from "qklab";
const attend = attention({ similarity: lorentzDistance(), pattern: causal() });
