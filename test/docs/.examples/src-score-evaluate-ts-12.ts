import { evaluate, mul, variable } from "qklab";
checkPromise(evaluate(mul(2, variable("s")), { s: 3 }), "6"); // 6
