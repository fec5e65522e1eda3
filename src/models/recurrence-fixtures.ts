/** @file Heads of a recurrence in a layer once more, in f64 on plain arrays, for tests: every gate by its formula. */
import { initialValues } from "../attention/parameters.ts";
import { type Tensor, tensor64, type Tensor64 } from "../base/tensor.ts";
import { recurrenceForward, type RecurrenceInputs } from "../recurrence/index.ts";
import { type RecurrentHeads } from "./recurrence-group.ts";

type Rows = readonly Float64Array[];
/** A tensor of the group by its name after the group's prefix. */
type Weight = (name: string) => Tensor | Tensor64;

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** Outputs of a group's heads, [1, H, N, D], from its heads' rows and the layer's. */
export function recurrenceInF64(
  { recurrence, heads, keyValueHeads }: RecurrentHeads,
  { q, k, v }: Readonly<Record<"q" | "k" | "v", Tensor64>>,
  rows: Rows,
  weight: Weight,
): Tensor64 {
  const width = k.shape[3];
  const tokens = rows.length;
  const { rule } = recurrence;
  const product = (x: ArrayLike<number>, name: string, bias?: string): Float64Array => {
    const { data, shape } = weight(name);
    return Float64Array.from({ length: shape[0] }, (_, out) => {
      let sum = bias === undefined ? 0 : weight(bias).data[out];
      for (let d = 0; d < shape[1]; d++) sum += data[out * shape[1] + d] * x[d];
      return sum;
    });
  };
  /** [1, G, N] or [1, G, N, D] from what each token has. */
  const perToken = (of: (row: Float64Array) => Float64Array): Tensor64 => {
    const all = rows.map(of);
    const each = all[0].length / keyValueHeads;
    const data = Float64Array.from({ length: all[0].length * tokens }, (_, place) => {
      const head = Math.floor(place / (tokens * each));
      const token = Math.floor(place / each) % tokens;
      return all[token][head * each + (place % each)];
    });
    return { data, shape: each === 1 ? [1, keyValueHeads, tokens] : [1, keyValueHeads, tokens, each] };
  };
  const channels = (name: string, inner: (x: number) => number, outer: (x: number) => number): Tensor64 => {
    const made = perToken((row) =>
      product(product(row, `${name}_down.weight`).map(inner), `${name}_up.weight`, `${name}.bias`).map(outer),
    );
    return { data: made.data, shape: [1, keyValueHeads, tokens, width] };
  };
  const mapped = (name: string, change: (x: number) => number): Tensor64 => {
    const { data, shape } = weight(name);
    return tensor64(Float64Array.from(data, change), shape);
  };
  const same = (x: number): number => x;
  const beta = (): Tensor64 => perToken((row) => product(row, "beta_proj.weight").map(sigmoid));
  const gates: Readonly<Record<string, () => Partial<RecurrenceInputs<Tensor64>>>> = {
    gla: () => ({ logDecay: channels("decay", same, (x) => Math.log(sigmoid(x)) / 16) }),
    deltanet: () => ({ beta: beta() }),
    "gated-deltanet": () => ({
      beta: beta(),
      logDecay: perToken((row) =>
        product(row, "decay_proj.weight", "decay.bias").map(
          (x, head) => -Math.exp(weight("log_rate").data[head]) * Math.log1p(Math.exp(x)),
        ),
      ),
    }),
    rwkv4: () => ({ logDecay: mapped("decay.bias", (x) => -Math.exp(x)), u: mapped("bonus", same) }),
    rwkv5: () => ({ logDecay: mapped("decay.bias", (x) => -Math.exp(x)), u: mapped("bonus", same) }),
    rwkv6: () => ({
      logDecay: channels("decay", Math.tanh, (x) => -Math.exp(x)),
      u: mapped("bonus", same),
    }),
    rwkv7: () => ({
      logDecay: channels("decay", Math.tanh, (x) => -Math.exp(-0.5) * sigmoid(x)),
      a: channels("rate", same, sigmoid),
      ka: mapped("replacement", same),
    }),
  };
  const hasQueries = rule.inputs.some(({ name }) => name === "q");
  const parameters = Object.fromEntries(
    Object.keys(initialValues(rule.parameters, { heads, width })).map((name) => [name, mapped(name, same)]),
  );
  const { out } = recurrenceForward(recurrence, {
    ...(hasQueries ? { q } : {}),
    k,
    v,
    ...gates[rule.name]?.(),
    parameters,
  });
  if (!hasQueries) {
    return { ...out, data: out.data.map((value, place) => value * sigmoid(q.data[place])) };
  }
  const isDivided =
    rule.name === "performer" || (rule.name === "linear" && rule.options["normaliser"] !== "none");
  return isDivided ? out : normed(out, weight("head_norm.weight").data);
}

/** Vectors of unit mean square, times a gain. */
function normed({ data, shape }: Tensor64, gain: ArrayLike<number>): Tensor64 {
  const width = shape[3];
  return tensor64(
    data.map((value, place) => {
      const start = place - (place % width);
      const square = data.subarray(start, start + width).reduce((sum, x) => sum + x * x, 0) / width;
      return (value / Math.sqrt(square + 1e-5)) * gain[place % width];
    }),
    shape,
  );
}
