import { causal, compose, dot, printSelector, window } from "qklab";
checkPromise(printSelector(compose({ similarity: dot(), pattern: [causal(), window({ w: 8 })] })), "\"dot+causal+window:w=8\""); // "dot+causal+window:w=8"
