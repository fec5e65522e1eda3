import { attention, causal, dot, rope } from "qklab";
const attend = attention({ similarity: dot(), position: rope({ theta: 10000 }), pattern: causal() });
