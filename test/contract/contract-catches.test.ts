/** @file The contract itself: backends that are wrong in one way each, which it must catch. */
import { expect, test } from "vitest";
import {
  type AttentionBackend,
  type AttentionGradients,
  type AttentionInputs,
  type Composition,
  full,
  guards,
  mean,
  referenceBackend,
  type Tensor,
  topk,
} from "../../src/index.ts";
import { laws } from "./attention-contract.ts";
import { checkDirections } from "./central-differences.ts";
import { benchOf } from "./law.ts";
import { read } from "./legal-selectors.ts";
import { commonSizes, edited, makeProblem, taken } from "./problem.ts";

type Change = (
  composition: Composition,
  inputs: AttentionInputs<Tensor>,
) => readonly [Composition, AttentionInputs<Tensor>];

/** The reference, called with something else than it was asked. */
function withChange(change: Change): AttentionBackend {
  return {
    name: "wrong",
    forward: (composition, inputs, extras) =>
      referenceBackend.forward(...change(composition, inputs), extras),
    backward: (composition, inputs, result, dOut) =>
      referenceBackend.backward(...change(composition, inputs), result, dOut),
  };
}

/** The reference with its results changed. */
function withResults(
  changeOut: (out: Tensor) => Tensor,
  changeGradients: (g: AttentionGradients) => AttentionGradients,
): AttentionBackend {
  return {
    name: "wrong",
    async forward(...call) {
      const result = await referenceBackend.forward(...call);
      return { ...result, out: changeOut(result.out) };
    },
    backward: async (...call) => changeGradients(await referenceBackend.backward(...call)),
  };
}

function without(...names: readonly (keyof AttentionInputs)[]): Change {
  return (composition, inputs) => [
    composition,
    Object.fromEntries(
      Object.entries(inputs).filter(([name]) => !(names as readonly string[]).includes(name)),
    ) as unknown as AttentionInputs<Tensor>,
  ];
}

const same = <T>(value: T): T => value;
const tenth = (tensor: Tensor): Tensor => edited(tensor, (value) => value * 1.001);

const mutants: readonly {
  readonly fault: string;
  readonly backend: AttentionBackend;
  readonly caughtBy: RegExp;
}[] = [
  {
    fault: "sees the future",
    backend: withChange((composition, inputs) => [{ ...composition, patterns: [full()] }, inputs]),
    caughtBy: /changing a token/,
  },
  { fault: "ignores the mask", backend: withChange(without("mask")), caughtBy: /a row without keys/ },
  {
    fault: "ignores key lengths",
    backend: withChange(without("keyLengths")),
    caughtBy: /beyond a batch entry's length/,
  },
  { fault: "ignores the offset", backend: withChange(without("offset")), caughtBy: /placed by its offset/ },
  { fault: "ignores the bias", backend: withChange(without("bias")), caughtBy: /those of the f64 reference/ },
  {
    fault: "ignores parameters",
    backend: withChange(without("parameters")),
    caughtBy: /those of the f64 reference/,
  },
  {
    fault: "returns keys for values",
    backend: withChange((composition, inputs) => [
      composition,
      {
        ...inputs,
        v: {
          ...inputs.v,
          data: inputs.v.data.map((_, place) => inputs.k.data[place % inputs.k.data.length]),
        },
      },
    ]),
    caughtBy: /depends on the values/,
  },
  {
    fault: "takes the wrong shared keys",
    backend: withChange((composition, inputs) =>
      inputs.k.shape[1] === inputs.q.shape[1]
        ? [composition, inputs]
        : [composition, { ...inputs, k: taken(inputs.k, 1, [1, 0]), v: taken(inputs.v, 1, [1, 0]) }],
    ),
    caughtBy: /share keys/,
  },
  {
    fault: "writes into its inputs",
    backend: withChange((composition, inputs) => {
      inputs.q.data[0] += 1;
      return [composition, inputs];
    }),
    caughtBy: /leaves its inputs/,
  },
  {
    fault: "is a thousandth off in its output",
    backend: withResults(tenth, same),
    caughtBy: /those of the f64 reference/,
  },
  {
    fault: "is a thousandth off in dk",
    backend: withResults(same, (gradients) => ({ ...gradients, dk: tenth(gradients.dk) })),
    caughtBy: /those of the f64 reference/,
  },
  {
    fault: "has no gradient of its parameters",
    backend: withResults(same, (gradients) => ({ ...gradients, dParameters: {} })),
    caughtBy: /one gradient for every input and every parameter/,
  },
  {
    fault: "gives NaN for large inputs",
    backend: withResults((out) => edited(out, (value) => (Math.abs(value) > 1e3 ? NaN : value)), same),
    caughtBy: /no NaN or infinity/,
  },
  {
    fault: "adds a constant to the output",
    backend: withResults((out) => edited(out, (value) => value + 1), same),
    caughtBy: /linear in the values/,
  },
  {
    fault: "adds a constant to dq",
    backend: withResults(same, (gradients) => ({ ...gradients, dq: edited(gradients.dq, (x) => x + 1e-3) })),
    caughtBy: /linear in the gradient of the output/,
  },
  {
    fault: "lets dv depend on the values",
    backend: {
      ...referenceBackend,
      async backward(...call) {
        const gradients = await referenceBackend.backward(...call);
        const { v } = call[1];
        const dv = { ...v, data: gradients.dv.data.map((x, place) => x + 1e-3 * v.data[place]) };
        return { ...gradients, dv };
      },
    },
    caughtBy: /gradient of values does not depend/,
  },
  {
    fault: "lets dq depend on later tokens",
    backend: withResults(same, (gradients) => ({
      ...gradients,
      dq: edited(gradients.dq, (x) => x + 1e-2 * gradients.dk.data.reduce((a, b) => a + b)),
    })),
    caughtBy: /gradients of queries before it/,
  },
  {
    fault: "keeps one key too few under top-k",
    backend: withChange(({ selection, ...rest }, inputs) => [
      { ...rest, selection: selection.limit === undefined ? selection : topk({ k: selection.limit - 1 }) },
      inputs,
    ]),
    caughtBy: /top-k of as many keys/,
  },
  {
    fault: "counts places from the first key that takes part",
    backend: withChange((composition, inputs) => [
      composition,
      { ...inputs, ...(inputs.offset === undefined ? {} : { offset: Math.min(inputs.offset, 2) }) },
    ]),
    caughtBy: /moving all queries and keys/,
  },
  {
    fault: "knows the order of keys",
    backend: withResults((out) => edited(out, (value, [, , query]) => value * (1 + query)), same),
    caughtBy: /permuting keys/,
  },
  {
    fault: "mixes heads",
    backend: withResults((out) => edited(out, (value) => value + 1e-6 * out.data.at(-1)!), same),
    caughtBy: /do not mix/,
  },
];

test.each(mutants)("a backend that $fault is caught", async ({ backend, caughtBy }) => {
  const selector = "cauchy:beta=2,tau=learned+alibi+causal";
  const bench = benchOf(backend, { forward: 1e-5, gradient: 1e-5 }, guards.f64);
  const law = laws.find(({ name }) => caughtBy.test(name))!;
  await expect(law.check(bench, read(selector), selector)).rejects.toThrow();
});

test("a gradient that is a thousandth off is caught by central differences", () => {
  const right = read("l2+causal");
  const { backward, ...rest } = mean();
  const wrong = {
    ...rest,
    backward: (...call: Parameters<typeof backward>) => {
      const { weights, parameter } = backward(...call);
      return { weights: weights.map((weight) => weight * 1.001), parameter };
    },
  };
  checkDirections(makeProblem(right, commonSizes, "right"), 1);
  const composition = { ...right, aggregation: wrong };
  expect(() => checkDirections(makeProblem(composition, commonSizes, "wrong"), 1)).toThrow(
    /not central differences/,
  );
});
