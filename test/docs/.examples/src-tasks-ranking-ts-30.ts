import { completeTree, rankNeighbours } from "qklab/tasks";
const tree = completeTree(2, 2);
rankNeighbours(tree, (_node, scores) => scores.fill(0)).meanAveragePrecision; // 0.2333…, as everything ties
