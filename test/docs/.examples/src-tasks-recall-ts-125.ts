import { random } from "qklab";
import { valueTable } from "qklab/tasks";
checkPromise(valueTable(256, 16, random(1, "recall", "values")).rows.length, "4096"); // 4096
