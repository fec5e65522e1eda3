import { stereographicDistance } from "qklab";
checkPromise(stereographicDistance([0, 0], [Math.tanh(1), 0], -1), "2"); // 2
