import { bytes, corpus } from "qklab/tasks";
const { train } = corpus("hello", "hello, world\n".repeat(100), bytes);
checkPromise(train.tokens.length, "1170"); // 1170
