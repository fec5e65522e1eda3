import { applyMatrix, tensor64 } from "qklab";
applyMatrix(tensor64([0, 1, 1, 0], [2, 2]), [3, 5]); // Float64Array [5, 3]
