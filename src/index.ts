/** @file qklab: attentions as compositions of a space, a similarity, positions, patterns, selections, normalisers and aggregations. */
export * from "./aggregations/index.ts";
export * from "./attention/index.ts";
export * from "./base/index.ts";
export * from "./normalisers/index.ts";
export * from "./patterns/index.ts";
export * from "./positions/index.ts";
export * from "./recurrence/index.ts";
export * from "./score/index.ts";
export * from "./selections/index.ts";
export * from "./similarities/index.ts";
export * from "./spaces/index.ts";
