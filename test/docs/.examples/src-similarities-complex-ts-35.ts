import { attention, complex, full } from "qklab";
const attend = attention({ similarity: complex({ part: "im" }), pattern: full() });
