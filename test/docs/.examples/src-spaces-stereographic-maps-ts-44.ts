import { stereographicRadius } from "qklab";
checkPromise(stereographicRadius([0, Math.tanh(1)], -1), "2"); // 2
