import { stereographicInner } from "qklab";
checkPromise(stereographicInner([0, 0], [1, 0], [1, 0], -1), "4"); // 4
