import { mobiusScale } from "qklab";
checkPromise(mobiusScale(2, [0.5], -1), "[0.8]"); // [0.8]
