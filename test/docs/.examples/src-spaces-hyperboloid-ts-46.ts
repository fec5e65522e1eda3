import { hyperboloidPoint } from "qklab";
hyperboloidPoint([3, 4], 1 / 144); // Float64Array [13, 3, 4]
