import { einsteinMidpoint } from "qklab";
checkPromise(einsteinMidpoint([[0.5, 0], [-0.5, 0]], [1, 1], 1), "[0, 0]"); // [0, 0]
