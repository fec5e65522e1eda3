import { random } from "qklab";
checkPromise(random(1, "init").uniform() === random(1, "init").uniform(), "true"); // true
