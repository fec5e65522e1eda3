import { minkowskiInner } from "qklab";
checkPromise(minkowskiInner([1, 0, 0], [1, 0, 0]), "-1"); // -1
