import { attention, causal, dot, window } from "qklab";
const attend = attention({ similarity: dot(), pattern: [causal(), window({ w: 256 })] });
