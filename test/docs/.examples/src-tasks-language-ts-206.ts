import { bitsPerCharacter } from "qklab/tasks";
checkPromise(bitsPerCharacter(Math.log(2)), "1"); // 1
