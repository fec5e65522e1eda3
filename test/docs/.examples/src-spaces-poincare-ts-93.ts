import { polarCoordinates } from "qklab";
checkPromise(polarCoordinates([Math.cosh(1), Math.sinh(1)], 1), "[0.5]"); // [0.5]
