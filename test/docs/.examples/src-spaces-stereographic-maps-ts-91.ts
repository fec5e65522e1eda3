import { stereographicExp, stereographicLog } from "qklab";
const y = stereographicExp([0.1, 0.2], [0.3, -0.1], -1);
checkPromise(stereographicLog([0.1, 0.2], y, -1), "[0.3, -0.1]"); // [0.3, -0.1]
