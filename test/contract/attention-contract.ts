/**
 * @file The contract of every backend: one suite of laws over every legal pair of parts. A backend passes it when it may
 * stand in for the reference.
 *
 * ```ts
 * import { guards } from "../../src/index.ts";
 * import { attentionContract } from "./attention-contract.ts";
 *
 * attentionContract(wasmBackend, {
 *   // eps = 2^-24; a score is a sum of D = 128 products, the output a sum of S = 100: (128 + 100)·eps, times 4 for exp.
 *   tolerances: { forward: 6e-5, gradient: 3e-4 },
 *   guard: guards.f32,
 *   relaxations: [{ selectors: /block/, reason: "block lists are not built yet" }],
 * });
 * ```
 *
 * Registered are, per law, one test for each selector (skipped tests carry their reason), and one test that samples sizes.
 * Two precisions can choose different keys under top-k, so calls are drawn until no row has a near-tie; apart from that,
 * calls depend on the selector and the sizes alone.
 */
import { describe, test } from "vitest";
import { type AttentionBackend, type Composition } from "../../src/index.ts";
import { benchOf, type Law, type Tolerances } from "./law.ts";
import { lawsOfGradients } from "./laws-of-gradients.ts";
import { lawsOfIdentities } from "./laws-of-identities.ts";
import { checkSizes, lawsOfNumbers } from "./laws-of-numbers.ts";
import { lawsOfPairs } from "./laws-of-pairs.ts";
import { lawsOfValues } from "./laws-of-values.ts";
import { legalSelectors, read } from "./legal-selectors.ts";

/** All laws that are checked selector by selector. */
export const laws: readonly Law[] = [
  ...lawsOfNumbers,
  ...lawsOfPairs,
  ...lawsOfValues,
  ...lawsOfGradients,
  ...lawsOfIdentities,
];

/** What a backend does not keep, or keeps less tightly, and why. */
export interface Relaxation {
  /** The selectors meant, every part of which is written out, such as `l2+nope+causal+all+softmax+mean`. */
  readonly selectors: RegExp;
  /** The names of the laws meant; all when absent. */
  readonly laws?: RegExp;
  /** Tolerances in place of the suite's; without them the tests are skipped. */
  readonly tolerances?: Tolerances;
  readonly reason: string;
}

/** What a backend promises. */
export interface ContractOptions {
  readonly tolerances: Tolerances;
  /** The smallest square under a root that the backend uses: `guards.f32` or `guards.f64`. */
  readonly guard: number;
  readonly relaxations?: readonly Relaxation[];
  /** Default: every legal pair of parts. */
  readonly selectors?: readonly string[];
  /** How many combinations of sizes and selectors are sampled (default 40). */
  readonly sampledSizes?: number;
}

/** Registers the suite for a backend. */
export function attentionContract(backend: AttentionBackend, options: ContractOptions): void {
  const { tolerances, guard, relaxations = [], selectors = legalSelectors, sampledSizes = 40 } = options;
  const cases = selectors.map((selector) => ({ selector, composition: read(selector) }));
  const relaxationOf = (selector: string, law: string): Relaxation | undefined =>
    relaxations.find(
      (relaxation) => relaxation.selectors.test(selector) && (relaxation.laws?.test(law) ?? true),
    );

  describe(`${backend.name} keeps the laws of attention`, () => {
    const spoken = laws.filter((law) => cases.some(({ composition }) => applies(law, composition)));
    describe.each(spoken.map((law) => [law.name, law] as const))("%s", (_, law) => {
      test.for(cases.filter(({ composition }) => applies(law, composition)))(
        "$selector",
        async ({ selector, composition }, { skip }) => {
          const relaxation = relaxationOf(selector, law.name);
          if (relaxation !== undefined && relaxation.tolerances === undefined) skip(relaxation.reason);
          const bench = benchOf(backend, relaxation?.tolerances ?? tolerances, guard);
          await law.check(bench, composition, selector);
        },
      );
    });

    const sizesLaw = "outputs and gradients are those of the f64 reference at sizes that no tile divides";
    test(sizesLaw, async () => {
      await checkSizes(benchOf(backend, tolerances, guard), cases, sampledSizes, (selector) => {
        const relaxation = relaxationOf(selector, sizesLaw);
        return relaxation === undefined ? tolerances : relaxation.tolerances;
      });
    });
  });
}

function applies({ appliesTo }: Law, composition: Composition): boolean {
  return appliesTo?.(composition) ?? true;
}
