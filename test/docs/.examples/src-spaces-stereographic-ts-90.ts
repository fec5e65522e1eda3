import { mobiusMultiply, tensor64 } from "qklab";
checkPromise(mobiusMultiply(tensor64([0, -1, 1, 0], [2, 2]), [0.5, 0], -1), "[0, 0.5]"); // [0, 0.5]
