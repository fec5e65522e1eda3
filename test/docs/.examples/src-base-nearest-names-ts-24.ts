import { nearestNames } from "qklab";
checkPromise(nearestNames("cosin", ["dot", "cosine", "l2"], 1), "[\"cosine\"]"); // ["cosine"]
