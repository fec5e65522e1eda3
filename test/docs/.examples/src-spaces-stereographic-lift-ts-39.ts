import { stereographicProject } from "qklab";
checkPromise(stereographicProject([5 / 4, 3 / 4], -1), "[0.333]"); // [0.333]
