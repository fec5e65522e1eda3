import { parseSelector } from "qklab";
checkPromise(parseSelector("lorentz:c=1+causal").similarity.name, "\"lorentz\""); // "lorentz"
