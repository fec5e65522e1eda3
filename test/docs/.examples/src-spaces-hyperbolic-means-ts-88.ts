import { kleinToHyperboloid } from "qklab";
checkPromise(kleinToHyperboloid([0.6], 1), "[1.25, 0.75]"); // [1.25, 0.75]
