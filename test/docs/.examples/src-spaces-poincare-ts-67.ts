import { polarLift } from "qklab";
checkPromise(polarLift([0.5, 0], 1)[0] === Math.cosh(1), "true"); // true
