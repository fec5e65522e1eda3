import { hyperboloidDistance } from "qklab";
checkPromise(hyperboloidDistance([1, 0], [Math.cosh(2), Math.sinh(2)], 1), "2"); // 2
