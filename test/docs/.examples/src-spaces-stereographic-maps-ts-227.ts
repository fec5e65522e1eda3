import { stereographicTransport0 } from "qklab";
checkPromise(stereographicTransport0([0.5, 0], [4, 8], -1), "[3, 6]"); // [3, 6]
