import { compileJavaScript, mul, variable } from "qklab";
const out = new Float64Array(1);
compileJavaScript([mul(2, variable("s"))], ["s"])(out, 21);
checkPromise(out[0], "42"); // 42
