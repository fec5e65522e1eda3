import { attention, dot, fixed } from "qklab";
const attend = attention({ similarity: dot(), pattern: fixed({ block: 128, columns: 8 }) });
