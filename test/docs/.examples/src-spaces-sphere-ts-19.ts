import { sphereSpace } from "qklab";
checkPromise(sphereSpace().distance([2, 0], [0, 7]) === Math.PI / 2, "true"); // true
