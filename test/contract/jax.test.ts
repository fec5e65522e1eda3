/** @file The composition on jax-js under the contract: selectors in which every value of every part occurs. */
import { beforeAll } from "vitest";
import { jaxBackend, startJax } from "../../src/kernels/jax/index.ts";
import { attentionContract } from "./attention-contract.ts";
import { jaxPromises } from "./jax-promises.ts";
import { legalSelectors, oneSelectorEach } from "./legal-selectors.ts";

beforeAll(() => startJax());

function coveringSelectors(): readonly string[] {
  const covered = new Set<string>();
  const isNew = (selector: string): boolean => {
    const parts = selector.split("+");
    const hasNews = parts.some((part) => !covered.has(part));
    for (const part of parts) covered.add(part);
    return hasNews;
  };
  return [...oneSelectorEach, ...legalSelectors].filter(isNew);
}

attentionContract(jaxBackend, { ...jaxPromises, selectors: coveringSelectors(), sampledSizes: 8 });
