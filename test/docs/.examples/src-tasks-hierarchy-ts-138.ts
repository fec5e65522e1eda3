import { random } from "qklab";
import { completeTree, hierarchySampler } from "qklab/tasks";
const sampler = hierarchySampler(completeTree(3, 4));
const { candidates } = sampler.batch({ size: 10, negatives: 50 }, random(1, "hierarchy", "train", 0));
candidates.length; // 510, which is [10, 51]
