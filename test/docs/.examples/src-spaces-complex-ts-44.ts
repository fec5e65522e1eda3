import { hermitianInner } from "qklab";
checkPromise(hermitianInner([0, 1], [1, 0]), "{ \"re\": 0, \"im\": 1 }"); // { "re": 0, "im": 1 }
