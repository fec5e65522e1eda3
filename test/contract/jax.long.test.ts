/** @file The composition on jax-js under the whole contract: every legal pair of parts, many sizes. */
import { beforeAll } from "vitest";
import { jaxBackend, startJax } from "../../src/kernels/jax/index.ts";
import { attentionContract } from "./attention-contract.ts";
import { jaxPromises } from "./jax-promises.ts";

beforeAll(() => startJax());

attentionContract(jaxBackend, { ...jaxPromises, sampledSizes: 200 });
