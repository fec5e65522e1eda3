import { gyromidpoint } from "qklab";
checkPromise(gyromidpoint([[0.5, 0], [-0.5, 0]], [1, 1], -1), "[0, 0]"); // [0, 0]
