import { gyration } from "qklab";
checkPromise(gyration([0.3, 0], [0.6, 0], [1, 2], -1), "[1, 2]"); // [1, 2]
