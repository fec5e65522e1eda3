import { gyromidpoint } from "qklab";
gyromidpoint([[0.5, 0], [-0.5, 0]], [1, 1], -1); // Float64Array [0, 0]
