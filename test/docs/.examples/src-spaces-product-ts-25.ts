import { euclideanSpace, lorentzSpace, productSpace } from "qklab";
const mixed = productSpace([{ space: lorentzSpace(), width: 2 }, { space: euclideanSpace(), width: 1 }]);
checkPromise(mixed.distance([Math.sinh(3), 0, 0], [0, 0, 4]), "5"); // 5
