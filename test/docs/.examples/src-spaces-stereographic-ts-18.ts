import { conformalFactor } from "qklab";
checkPromise(conformalFactor([0, 0], -1), "2"); // 2
