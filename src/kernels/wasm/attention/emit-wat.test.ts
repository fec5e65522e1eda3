/**
 * @file Golden texts of six kernels, reviewed like code, and each of them run against the reference. The first is whole;
 * of the others those functions are kept that differ from it.
 */
import { afterAll, describe, expect, test } from "vitest";
import { compose, type Composition, parseSelector } from "../../../attention/index.ts";
import { benchOf } from "../../../../test/contract/law.ts";
import { expectReference } from "../../../../test/contract/laws-of-numbers.ts";
import { makeProblem } from "../../../../test/contract/problem.ts";
import { roughened } from "../../../../test/contract/roundings.ts";
import { poisoned, wasmPromises } from "../../../../test/contract/wasm-promises.ts";
import { emitWat } from "./emit-wat.ts";
import { nodeEngine } from "../engine/pool.node.ts";

function read(selector: string): Composition {
  const { patterns, ...parts } = parseSelector(selector);
  return compose({ ...parts, pattern: patterns } as Parameters<typeof compose>[0]);
}

const goldens = [
  { file: "dot-causal", selector: "dot+causal", only: /./ },
  { file: "l2-causal", selector: "l2:beta=learned+causal", only: /Rows|Keys|Whole|rowTerms/ },
  { file: "poincare-causal", selector: "poincare:c=learned+causal", only: /Rows|Keys|Whole/ },
  { file: "l1-alibi", selector: "l1+alibi+full", only: /^l1|sign|Whole/ },
  { file: "tropical-maxplus", selector: "tropical+full+none+maxplus", only: /range|win|Winners|Whole/ },
  { file: "cosine-topk-sink", selector: "cosine+full+topk:k=8+softmax:sink=learned", only: /select|forward/ },
] as const;

const { tolerances, guard } = wasmPromises;
const engine = nodeEngine({ threads: 1, relaxed: false });
afterAll(() => engine.close());

describe.each(goldens)("$selector", ({ file, selector, only }) => {
  test("is the golden text", async () => {
    const text = emitWat(read(selector), { width: 16, only });
    await expect(text).toMatchFileSnapshot(`../../../../test/golden/${file}.wat`);
  });

  test.each([1, 3, 63, 65, 100])("runs forward and backward: %d queries and keys", async (length) => {
    const composition = read(selector);
    const sizes = {
      batch: 1,
      heads: 1,
      keyHeads: 1,
      queries: length,
      keys: length,
      width: 16,
      valueWidth: 16,
    };
    const problem = makeProblem(composition, sizes, file);
    await expectReference(benchOf(poisoned(engine), tolerances, guard), problem, { perturbed: roughened });
  });
});
