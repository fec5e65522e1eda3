import { all, attention, dot, full } from "qklab";
const attend = attention({ similarity: dot(), pattern: full(), selection: all() });
