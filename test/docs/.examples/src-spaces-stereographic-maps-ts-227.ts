import { stereographicTransport0 } from "qklab";
stereographicTransport0([0.5, 0], [4, 8], -1); // Float64Array [3, 6]
