import { learned } from "qklab";
checkPromise(learned().place, "\"embedding\""); // "embedding"
