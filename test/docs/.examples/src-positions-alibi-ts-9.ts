import { alibi, attention, causal, dot } from "qklab";
const attend = attention({ similarity: dot(), position: alibi(), pattern: causal() });
