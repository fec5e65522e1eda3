import { hermitianInner } from "qklab";
hermitianInner([0, 1], [1, 0]); // { re: 0, im: 1 }
