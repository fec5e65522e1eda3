/** @file `qklab/generation`: sampling, and generating with any model that gives the logits of the next token. */
export { type Finish, generate, type GeneratedPiece, type GenerateOptions } from "./generate.ts";
export type { NextToken } from "./next-token.ts";
export { logProbability, sampler, type SamplingOptions, tokenProbabilities } from "./sampling.ts";
