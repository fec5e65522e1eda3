import { completeTree } from "qklab/tasks";
checkPromise(completeTree(2, 3).names.length, "15"); // 15
