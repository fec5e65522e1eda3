import { stereographicLog } from "qklab";
stereographicLog([0, 0], [Math.tanh(0.5), 0], -1); // Float64Array [0.5, 0]
