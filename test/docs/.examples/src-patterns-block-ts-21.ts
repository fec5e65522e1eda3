import { attention, block, dot } from "qklab";
const attend = attention({ similarity: dot(), pattern: block({ size: 16, list: "0-0/1-0/1-1" }) });
