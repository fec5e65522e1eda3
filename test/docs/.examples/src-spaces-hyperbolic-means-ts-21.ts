import { hyperboloidPoint, lorentzCentroid } from "qklab";
lorentzCentroid([hyperboloidPoint([1, 0], 1), hyperboloidPoint([-1, 0], 1)], [1, 1], 1); // Float64Array [1, 0, 0]
