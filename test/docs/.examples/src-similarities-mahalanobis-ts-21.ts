import { attention, full, mahalanobis } from "qklab";
const attend = attention({ similarity: mahalanobis(), pattern: full() });
