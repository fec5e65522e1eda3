import { stereographicGradient } from "qklab";
checkPromise(stereographicGradient([0, 0], [4, 8], -1), "[1, 2]"); // [1, 2]
