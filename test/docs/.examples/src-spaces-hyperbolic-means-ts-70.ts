import { hyperboloidToKlein } from "qklab";
hyperboloidToKlein([5 / 4, 3 / 4], 1); // Float64Array [0.6]
