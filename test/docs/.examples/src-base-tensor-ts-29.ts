import { tensor } from "qklab";
const q = tensor([1, 0, 0, 1], [1, 1, 2, 2]); // [B, H, N, D]
