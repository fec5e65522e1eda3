import { complexSpace } from "qklab";
checkPromise(complexSpace().distance([0, 0], [3, 4]), "5"); // 5
