import { lorentzSpace } from "qklab";
checkPromise(lorentzSpace().distance([0, 0], [Math.sinh(2), 0]), "2"); // 2
