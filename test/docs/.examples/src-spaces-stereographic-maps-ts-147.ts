import { stereographicLog0 } from "qklab";
checkPromise(stereographicLog0([0, 0], -1), "[0, 0]"); // [0, 0]
