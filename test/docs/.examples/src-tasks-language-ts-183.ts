import { corpus, heldOutWindows } from "qklab/tasks";
const { test } = corpus("hello", "hello, world\n".repeat(100));
heldOutWindows(test, 16).count; // 4, of the 65 tokens of the split
