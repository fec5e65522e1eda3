import { hyperplaneDistance } from "qklab";
checkPromise(hyperplaneDistance([0.3, 0.4], [0, 0], [1, 0], -1) > 0, "true"); // true
