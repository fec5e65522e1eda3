import { characters } from "qklab/tasks";
const vocabulary = characters("banana");
vocabulary.encode("ban"); // Int32Array [1, 0, 2]
