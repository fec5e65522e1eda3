import { hyperboloidRadius } from "qklab";
checkPromise(hyperboloidRadius([Math.cosh(2), Math.sinh(2)], 1), "2"); // 2
