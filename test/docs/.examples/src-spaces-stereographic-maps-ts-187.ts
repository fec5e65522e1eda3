import { stereographicGradient } from "qklab";
stereographicGradient([0, 0], [4, 8], -1); // Float64Array [1, 2]
