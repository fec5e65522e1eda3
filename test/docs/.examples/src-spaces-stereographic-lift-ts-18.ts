import { stereographicLift } from "qklab";
stereographicLift([0, 0], -1); // Float64Array [1, 0, 0]
