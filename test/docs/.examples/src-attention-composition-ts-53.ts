import { causal, compose, l2, printSelector } from "qklab";
checkPromise(printSelector(compose({ similarity: l2(), pattern: causal() })), "\"l2+causal\""); // "l2+causal"
