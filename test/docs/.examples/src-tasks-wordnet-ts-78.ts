import { mammalHierarchy, rankNeighbours } from "qklab/tasks";
import type { Hierarchy, Nouns } from "qklab/tasks";
const mammals = (nouns: Nouns): Hierarchy => mammalHierarchy(nouns);
