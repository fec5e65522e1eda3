import { mobiusAdd } from "qklab";
checkPromise(mobiusAdd([0.5], [0.5], -1), "[0.8]"); // [0.8]
