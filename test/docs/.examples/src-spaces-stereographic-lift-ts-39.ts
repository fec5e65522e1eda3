import { stereographicProject } from "qklab";
stereographicProject([5 / 4, 3 / 4], -1); // Float64Array [1/3]
