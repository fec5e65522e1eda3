import { hyperboloidExp, hyperboloidLog } from "qklab";
const y = hyperboloidExp([1, 0, 0], [0, 0.3, 0.4], 1);
hyperboloidLog([1, 0, 0], y, 1); // [0, 0.3, 0.4] again
