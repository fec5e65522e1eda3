import { poincareSpace } from "qklab";
checkPromise(poincareSpace({ c: 0.5 }).distance([0, 0], [3, 4]), "10"); // 10
