import { gyration } from "qklab";
gyration([0.3, 0], [0.6, 0], [1, 2], -1); // Float64Array [1, 2]: along one line ⊕ is associative
