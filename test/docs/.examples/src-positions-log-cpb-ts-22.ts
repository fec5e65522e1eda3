import { attention, causal, cosine, logCpb } from "qklab";
const attend = attention({ similarity: cosine(), position: logCpb({ window: 64 }), pattern: causal() });
