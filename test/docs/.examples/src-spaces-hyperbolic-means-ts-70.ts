import { hyperboloidToKlein } from "qklab";
checkPromise(hyperboloidToKlein([5 / 4, 3 / 4], 1), "[0.6]"); // [0.6]
