import { mobiusAdd } from "qklab";
mobiusAdd([0.5], [0.5], -1); // Float64Array [0.8]: velocities of special relativity add so
