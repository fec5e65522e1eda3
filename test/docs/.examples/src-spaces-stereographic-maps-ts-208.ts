import { stereographicTransport } from "qklab";
stereographicTransport([0.2, 0], [0.2, 0], [1, 3], -1); // Float64Array [1, 3]
