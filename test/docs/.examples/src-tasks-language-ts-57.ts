import { bytes } from "qklab/tasks";
bytes().encode("é"); // Int32Array [195, 169]
