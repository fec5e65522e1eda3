import { attention, causal, l2, softmax, tensor } from "qklab";
const attend = attention({ similarity: l2(), pattern: causal(), normaliser: softmax() });
const q = tensor([1, 0, 0, 1], [1, 1, 2, 2]);
const { out, weights } = await attend(q, q, q, { return: ["weights"] });
const { dq } = await attend.backward({ q, k: q, v: q, dOut: out });
