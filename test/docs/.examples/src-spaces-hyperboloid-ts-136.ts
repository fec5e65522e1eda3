import { hyperboloidLog } from "qklab";
hyperboloidLog([1, 0], [Math.cosh(2), Math.sinh(2)], 1); // Float64Array [0, 2]
