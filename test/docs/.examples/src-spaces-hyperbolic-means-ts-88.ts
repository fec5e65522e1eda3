import { kleinToHyperboloid } from "qklab";
kleinToHyperboloid([0.6], 1); // Float64Array [1.25, 0.75]
