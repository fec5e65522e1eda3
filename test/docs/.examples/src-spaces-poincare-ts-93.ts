import { polarCoordinates } from "qklab";
polarCoordinates([Math.cosh(1), Math.sinh(1)], 1); // Float64Array [0.5]
