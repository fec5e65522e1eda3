import { attention, dot, strided } from "qklab";
const attend = attention({ similarity: dot(), pattern: strided({ stride: 32, local: 32 }) });
