import { euclideanSpace } from "qklab";
checkPromise(euclideanSpace().distance([0, 0], [3, 4]), "5"); // 5
