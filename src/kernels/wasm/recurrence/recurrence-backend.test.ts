/** @file Rules on the fused kernels as a backend: the numbers of the f64 reference, in order of time and whole. */
import { describe, expect, test } from "vitest";
import { narrow, type Tensor, type Tensor64 } from "../../../base/tensor.ts";
import { random } from "../../../base/random.ts";
import {
  parseRecurrence,
  recurrence,
  recurrenceBackward,
  recurrenceForward,
  type RecurrenceInputs,
} from "../../../recurrence/index.ts";
import { causal, full } from "../../../patterns/index.ts";
import { randomInputs, ruleSelectors } from "../../../recurrence/rule-fixtures.ts";
import { WasmEngine } from "../engine/engine.ts";
import { wasmRecurrenceBackend } from "./recurrence-backend.ts";

/** Sums of some hundred products in float32, and quotients of such sums. */
const tolerance = 5e-5;

const engine = new WasmEngine();
const backend = wasmRecurrenceBackend(engine);

function farthest(actual: Tensor, expected: Tensor64): number {
  expect(actual.shape).toEqual(expected.shape);
  const scale = expected.data.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  return (
    expected.data.reduce((most, value, at) => Math.max(most, Math.abs(value - actual.data[at])), 0) / scale
  );
}

const narrowed = ({ parameters = {}, ...inputs }: RecurrenceInputs<Tensor64>): RecurrenceInputs<Tensor> => ({
  ...(narrowAll(inputs) as unknown as RecurrenceInputs<Tensor>),
  parameters: narrowAll(parameters),
});

const narrowAll = (tensors: object): Record<string, Tensor> =>
  Object.fromEntries(
    (Object.entries(tensors) as [string, Tensor64][]).map(([name, tensor]) => [name, narrow(tensor)]),
  );

describe.each([
  ...ruleSelectors.map((selector) => ({ selector, tokens: 65, queries: 65 })),
  { selector: "linear+full", tokens: 17, queries: 5 },
  { selector: "linear:map=hedgehog+full", tokens: 5, queries: 17 },
  { selector: "performer:features=5+full", tokens: 3, queries: 17 },
])("$selector on $tokens tokens", ({ selector, tokens, queries }) => {
  test("has the outputs, the state and the gradients of the reference", async () => {
    const composition = parseRecurrence(selector);
    const wide = randomInputs(composition, selector, { tokens, queries, heads: 2, keyHeads: 1 });
    const inputs = narrowed(wide);
    const { whole, ...spec } = composition;
    const recur = recurrence({ ...spec, pattern: whole ? full() : causal() }, { backend });
    const call = { ...inputs, enableGqa: true };
    const expected = recurrenceForward(composition, inputs);
    const { out, state } = await recur(call);
    const stream = random(selector, "cotangents");
    const like = ({ data, shape }: Tensor64): Tensor => ({ data: stream.normals(data.length), shape });
    const [dOut, dState] = [like(expected.out), like(expected.state)];
    const wanted = recurrenceBackward(composition, inputs, { dOut, dState });
    const found = await recur.backward({ ...call, dOut, dState });
    const flat = ({ dParameters, ...others }: object & { dParameters: object }): Record<string, Tensor> => ({
      ...others,
      ...dParameters,
    });
    const [reference, kernels] = [flat(wanted), flat(found)];
    const errors = Object.entries({ out, state, ...kernels }).map(([name, tensor]) => [
      name,
      farthest(tensor, ({ ...expected, ...reference } as Record<string, unknown>)[name] as Tensor64),
    ]);
    expect(Object.keys(kernels).sort()).toEqual(Object.keys(reference).sort());
    expect(errors.filter(([, error]) => !(Number(error) < tolerance))).toEqual([]);
  });
});

test("what the kernels do not compute is refused, and not computed by something else", async () => {
  const run = (selector: string): Promise<unknown> => {
    const composition = parseRecurrence(selector);
    const recur = recurrence({ rule: composition.rule }, { backend });
    return recur(narrowed(randomInputs(composition, "refused", { tokens: 8, valueWidth: 3 })));
  };
  await expect(run("retnet:chunk=4")).rejects.toThrow("chunks have 64 tokens: chunk is 4");
});
