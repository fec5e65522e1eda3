import { random } from "qklab";
import { recallTokens } from "qklab/tasks";
const settings = { vocabulary: 256, length: 64, pairs: 8, batch: 4 };
const { tokens, positions, targets } = recallTokens(settings, random(1, "recall", "train", 0));
tokens.length; // 256, which is [4, 64]
