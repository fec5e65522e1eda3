import { stereographicLog } from "qklab";
checkPromise(stereographicLog([0, 0], [Math.tanh(0.5), 0], -1), "[0.5, 0]"); // [0.5, 0]
