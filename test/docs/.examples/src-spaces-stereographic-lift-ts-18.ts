import { stereographicLift } from "qklab";
checkPromise(stereographicLift([0, 0], -1), "[1, 0, 0]"); // [1, 0, 0]
