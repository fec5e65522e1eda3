import { mobiusMultiply, tensor64 } from "qklab";
mobiusMultiply(tensor64([0, -1, 1, 0], [2, 2]), [0.5, 0], -1); // Float64Array [0, 0.5]
