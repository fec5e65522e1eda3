import { mobiusScale } from "qklab";
mobiusScale(2, [0.5], -1); // Float64Array [0.8], which is [0.5] ⊕ [0.5]
