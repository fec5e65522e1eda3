import { random } from "qklab";
import { recallVectors, valueTable } from "qklab/tasks";
const values = valueTable(256, 16, random(1, "recall", "values"));
const batch = recallVectors({ pairs: 8, keyWidth: 4, batch: 32 }, values, random(1, "recall", "train", 0));
batch.inputs.length; // 10240, which is [32, 16, 20]
