import { applyMatrix, lorentzBoost } from "qklab";
const boosted = applyMatrix(lorentzBoost(2, [1, 0]), [1, 0, 0]);
checkPromise(boosted[0] === Math.cosh(2), "true"); // true
