import { splitSelectors } from "qklab";
checkPromise(splitSelectors("dot+rope:theta=100,layout=half,l2"), "[\"dot+rope:theta=100,layout=half\", \"l2\"]"); // ["dot+rope:theta=100,layout=half", "l2"]
