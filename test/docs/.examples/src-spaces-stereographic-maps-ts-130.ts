import { stereographicExp0 } from "qklab";
checkPromise(stereographicExp0([1, 0], -1)[0] === Math.tanh(1), "true"); // true
