import { attention, full, rbf } from "qklab";
const attend = attention({ similarity: rbf({ sigma: 1 }), pattern: full() });
