import { hyperboloidTransport } from "qklab";
hyperboloidTransport([1, 0, 0], [1, 0, 0], [0, 1, 2], 1); // Float64Array [0, 1, 2]
