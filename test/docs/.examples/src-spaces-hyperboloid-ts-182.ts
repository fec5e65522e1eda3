import { hyperboloidGradient } from "qklab";
hyperboloidGradient([1, 0, 0], [5, 1, 2], 1); // Float64Array [0, 1, 2]
