import { random } from "qklab";
import { corpus, randomWindows } from "qklab/tasks";
const { train } = corpus("hello", "hello, world\n".repeat(100));
const { inputs, targets } = randomWindows(train, { count: 4, length: 32 }, random(1, "language", "train", 0));
checkPromise(inputs[1] === targets[0], "true"); // true
