import { derivative, log1p, variable } from "qklab";
checkPromise(String(derivative(log1p(variable("u")), "u")), "\"(1 / (1 + u))\""); // "(1 / (1 + u))"
