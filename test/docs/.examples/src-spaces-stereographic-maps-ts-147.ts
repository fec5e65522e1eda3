import { stereographicLog0 } from "qklab";
stereographicLog0([0, 0], -1); // Float64Array [0, 0]
