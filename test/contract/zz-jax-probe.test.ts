import { beforeAll } from "vitest";
import { jaxBackend, startJax } from "../../src/kernels/jax/index.ts";
import { attentionContract } from "./attention-contract.ts";
import { jaxPromises } from "./jax-promises.ts";
import { legalSelectors } from "./legal-selectors.ts";
beforeAll(() => startJax());
attentionContract(jaxBackend, { ...jaxPromises, selectors: legalSelectors.filter((x) => /centroid/.test(x)), sampledSizes: 60 });
