import { log1p, variable } from "qklab";
const u = variable("u");
checkPromise(String(log1p(u.mul(2)).neg()), "\"-(log1p((u * 2)))\""); // "-(log1p((u * 2)))"
