import { closure } from "qklab/tasks";
closure("family", ["animal", "mammal", "dog"], [[], [0], [1]]).pairs; // Int32Array [1, 0, 2, 0, 2, 1]
