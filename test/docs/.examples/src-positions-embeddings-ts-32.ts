import { sinusoidal } from "qklab";
checkPromise(sinusoidal().table?.(1, 4), "[0, 1, 0, 1]"); // [0, 1, 0, 1]
