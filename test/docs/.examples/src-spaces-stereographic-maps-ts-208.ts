import { stereographicTransport } from "qklab";
checkPromise(stereographicTransport([0.2, 0], [0.2, 0], [1, 3], -1), "[1, 3]"); // [1, 3]
