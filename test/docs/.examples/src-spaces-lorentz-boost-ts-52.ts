import { random, randomLorentzBoost } from "qklab";
checkPromise(randomLorentzBoost(random(0, "boost"), 4).shape, "[5, 5]"); // [5, 5]
