import { hyperboloidPoint, lorentzCentroid } from "qklab";
checkPromise(lorentzCentroid([hyperboloidPoint([1, 0], 1), hyperboloidPoint([-1, 0], 1)], [1, 1], 1), "[1, 0, 0]"); // [1, 0, 0]
