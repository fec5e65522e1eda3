/** @file What tests of models share: tensors on the device, a decoder in f64 beside the one under test, and batches. */
import { numpy as np } from "@jax-js/jax";
import { initialParameters, parametersOf, referenceForward } from "../attention/index.ts";
import { random } from "../base/random.ts";
import { narrow, type Tensor, tensor64, type Tensor64 } from "../base/tensor.ts";
import { expertOf, routerScores } from "../kernels/reference/experts.ts";
import { exactGelu, tanhGelu } from "../kernels/reference/gelu.ts";
import { referenceRouting } from "../kernels/reference/routing.ts";
import { routerComposition } from "../kernels/wasm/index.ts";
import { heldName, heldValues, isTrained } from "../nn/attention-parameters.ts";
import { nope } from "../positions/index.ts";
import { guards } from "../similarities/index.ts";
import { type ComposedAttention } from "./decoder-config.ts";
import { type Decoder, type TokenBatch } from "./decoder.ts";
import { type ResolvedExperts } from "./expert-config.ts";
import { type Model } from "./model.ts";
import { recurrenceInF64 } from "./recurrence-fixtures.ts";

/** Tensors by name; f64 ones are for the f64 form. */
export type Tensors = Record<string, Tensor | Tensor64>;

/** Initial tensors of a model, widened so that every part of it matters. */
export function livelyTensors(model: Pick<Model<never>, "parameters">, seed: number, factor = 3): Tensors {
  return Object.fromEntries(
    model.parameters.map(({ name, initial, decays }) => {
      const { data, shape } = initial(seed);
      const draws = random(seed, "lively", name).normals(data.length, 0.2);
      return [name, { data: data.map((value, at) => (decays ? factor * value : value + draws[at])), shape }];
    }),
  );
}

export function toArrays(tensors: Tensors): Record<string, np.Array> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => {
      const { data, shape } = narrow(tensor);
      return [name, np.array(data, { shape: [...shape] })];
    }),
  );
}

/** Random tokens; each is to predict the next. */
export function randomBatch(vocabulary: number, batch: number, length: number, seed = 1): TokenBatch {
  const draw = random(seed, "batch");
  const text = Array.from({ length: batch }, () =>
    Array.from({ length: length + 1 }, () => draw.integer(vocabulary)),
  );
  return {
    tokens: Int32Array.from(text.flatMap((row) => row.slice(0, length))),
    targets: Int32Array.from(text.flatMap((row) => row.slice(1))),
    batch,
  };
}

type Rows = readonly Float64Array[];

/** The decoder once more, in f64 on plain arrays, with the reference's attention: logits of every place, [N][V]. */
export function referenceLogits({ config }: Decoder, tensors: Tensors, tokens: Int32Array): Rows {
  const { width, headWidth, layers, norm, feedForward, groups, tiedHead, residual, sharedQueryKey } = config;
  const { normEpsilon, embeddingScale, headNorm } = config;
  const weight = (name: string): Tensor | Tensor64 => tensors[name];
  const linear = (rows: Rows, name: string): Rows => {
    const { data, shape } = weight(name);
    const [out, inner] = shape;
    const bias = tensors[name.replace(/weight$/, "bias")] as Tensor | Tensor64 | undefined;
    return rows.map((row) =>
      Float64Array.from({ length: out }, (_, o) => {
        let sum = bias?.data[o] ?? 0;
        for (let d = 0; d < inner; d++) sum += row[d] * data[o * inner + d];
        return sum;
      }),
    );
  };
  const normed = (rows: Rows, name: string): Rows =>
    rows.map((row) => {
      const mean = norm === "rms" ? 0 : row.reduce((a, b) => a + b, 0) / width;
      const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
      const bias = norm === "rms" ? undefined : weight(`${name}.bias`).data;
      return row.map(
        (value, d) =>
          ((value - mean) / Math.sqrt(variance + normEpsilon)) * weight(`${name}.weight`).data[d] +
          (bias?.[d] ?? 0),
      );
    });
  const add = (rows: Rows, others: Rows): Rows =>
    rows.map((row, place) => row.map((value, d) => value + others[place][d]));

  let x: Rows = Array.from(tokens, (token) =>
    Float64Array.from(
      weight("model.embed_tokens.weight").data.subarray(token * width, (token + 1) * width),
      (value) => embeddingScale * value,
    ),
  );
  const embedded = groups
    .flat()
    .map((group) => ("recurrence" in group ? group.position : group.composition.position))
    .find((position) => position?.place === "embedding");
  if (embedded?.place === "embedding") {
    const table =
      embedded.table?.(tokens.length, width).map((value) => 0.02 * Math.sqrt(768 / width) * value) ??
      Float64Array.from(weight("model.embed_positions.weight").data);
    x = x.map((row, place) => row.map((value, d) => value + table[place * width + d]));
  }
  // Attentions read one stream and add to the other; feed-forwards the other way round. Plain residuals have one stream.
  let other = x;
  for (let layer = 0; layer < layers; layer++) {
    const at = `model.layers.${layer}`;
    const rows = normed(x, `${at}.input_layernorm`);
    const projected = (part: string): Rows => {
      const all = linear(rows, `${at}.self_attn.${part}_proj.weight`);
      if (headNorm === "none" || part === "v") return all;
      const { data: gain } = weight(`${at}.self_attn.${part}_norm.weight`);
      return all.map((row) =>
        unitSquares(row, headWidth, normEpsilon).map((value, d) => value * gain[d % headWidth]),
      );
    };
    const [q, v] = [projected("q"), projected("v")];
    const k = sharedQueryKey ? q.map((row) => unitHeads(row, headWidth)) : projected("k");
    const joined = attendInF64(groups[layer], { q, k, v, rows }, headWidth, `${at}.self_attn`, tensors);
    const attended = linear(joined, `${at}.self_attn.o_proj.weight`);
    const changed = add(residual === "plain" ? x : other, attended);
    other = x;
    x = changed;
    if (feedForward === "none") continue;
    const inner = normed(x, `${at}.post_attention_layernorm`);
    if (config.experts !== undefined) {
      x = add(x, expertsInF64(config.experts, inner, `${at}.mlp`, tensors));
      continue;
    }
    const up = linear(inner, `${at}.mlp.up_proj.weight`);
    const hidden =
      feedForward === "swiglu"
        ? linear(inner, `${at}.mlp.gate_proj.weight`).map((row, place) =>
            row.map((h, d) => (h / (1 + Math.exp(-h))) * up[place][d]),
          )
        : up.map((row) => row.map(activationsInF64[feedForward]));
    const fed = add(residual === "plain" ? x : other, linear(hidden, `${at}.mlp.down_proj.weight`));
    other = x;
    x = fed;
  }
  if (residual === "reversible") x = add(x, other).map((row) => row.map((value) => value / 2));
  return linear(normed(x, "model.norm"), tiedHead ? "model.embed_tokens.weight" : "lm_head.weight");
}

function unitHeads(row: Float64Array, headWidth: number): Float64Array {
  return row.map((value, d) => {
    const start = d - (d % headWidth);
    return value / Math.sqrt(row.subarray(start, start + headWidth).reduce((sum, x) => sum + x * x, 1e-12));
  });
}

/** Every head of a row at mean square 1. */
function unitSquares(row: Float64Array, headWidth: number, epsilon: number): Float64Array {
  return row.map((value, d) => {
    const start = d - (d % headWidth);
    const squares = row.subarray(start, start + headWidth).reduce((sum, x) => sum + x * x, 0);
    return value / Math.sqrt(squares / headWidth + epsilon);
  });
}

const activationsInF64 = { gelu: tanhGelu, "gelu-exact": exactGelu, relu: (h: number) => Math.max(h, 0) };

/** The experts of a layer, none of which drops a token. */
function expertsInF64({ rule, similarity }: ResolvedExperts, rows: Rows, at: string, tensors: Tensors): Rows {
  const width = rows[0].length;
  const matrices = (name: string): number[][][] => {
    const { data, shape } = tensors[`${at}.${name}.weight`];
    const [rowCount, columns] = shape.slice(-2);
    return Array.from({ length: data.length / (rowCount * columns) }, (_, index) =>
      Array.from({ length: rowCount }, (_, row) => {
        const start = (index * rowCount + row) * columns;
        return [...data.subarray(start, start + columns)];
      }),
    );
  };
  const router = routerComposition(similarity);
  const initial = initialParameters(router, { heads: 1, width });
  const parameters = parametersOf(router).map((parameter): [string, Tensor64] => [
    parameter.name,
    isTrained(parameter)
      ? heldValues(parameter, tensors[`${at}.router.${heldName(parameter)}`])
      : initial[parameter.name],
  ]);
  const scores = routerScores(
    { similarity, guard: guards.f32 },
    {
      x: rows.map((row) => [...row].map((value) => value / Math.sqrt(width))),
      keys: matrices("router")[0],
      parameters: Object.fromEntries(parameters),
    },
  );
  const { capacityFactor: _, ...unlimited } = rule;
  const { chosen, gates } = referenceRouting(scores, unlimited);
  const hasGate = `${at}.experts.gate_proj.weight` in tensors;
  const weights = {
    ...(hasGate ? { gate: matrices("experts.gate_proj") } : {}),
    up: matrices("experts.up_proj"),
    down: matrices("experts.down_proj"),
  };
  return rows.map((row, token) => {
    const sum = new Float64Array(width);
    chosen[token].forEach((expert, place) => {
      expertOf(weights, expert, [...row]).out.forEach((value, d) => (sum[d] += gates[token][place] * value));
    });
    return sum;
  });
}

function attendInF64(
  groups: Decoder["config"]["groups"][number],
  { q, k, v, rows }: Readonly<Record<"q" | "k" | "v" | "rows", Rows>>,
  width: number,
  prefix: string,
  tensors: Tensors,
): Rows {
  const length = q.length;
  const joined = q.map((row) => new Float64Array(row.length));
  let firstHead = 0;
  let firstKeyHead = 0;
  groups.forEach((group, index) => {
    const { heads, keyValueHeads } = group;
    const at = groups.length === 1 ? prefix : `${prefix}.groups.${index}`;
    const cut = (from: Rows, first: number, count: number): Tensor64 =>
      tensor64(
        Array.from({ length: count }, (_, head) =>
          from.map((row) => [...row.subarray((first + head) * width, (first + head + 1) * width)]),
        ).flat(2),
        [1, count, length, width],
      );
    const convolved = (part: "q" | "k" | "v", own: Tensor64): Tensor64 =>
      convolvedInF64(own, tensors[`${at}.${part}_conv.weight`]);
    const own = {
      q: convolved("q", cut(q, firstHead, heads)),
      k: convolved("k", cut(k, firstKeyHead, keyValueHeads)),
      v: convolved("v", cut(v, firstKeyHead, keyValueHeads)),
    };
    const out =
      "recurrence" in group
        ? recurrenceInF64(group, own, rows, (name) => tensors[`${at}.${name}`])
        : attentionInF64(group, own, at, width, tensors);
    for (let head = 0; head < heads; head++) {
      for (let place = 0; place < length; place++) {
        const from = (head * length + place) * width;
        joined[place].set(out.data.subarray(from, from + width), (firstHead + head) * width);
      }
    }
    firstHead += heads;
    firstKeyHead += keyValueHeads;
  });
  return joined;
}

function attentionInF64(
  { composition, heads }: ComposedAttention,
  rows: Readonly<Record<"q" | "k" | "v", Tensor64>>,
  at: string,
  width: number,
  tensors: Tensors,
): Tensor64 {
  const { position } = composition;
  const inside = position.place === "embedding" ? { ...composition, position: nope() } : composition;
  const initial = initialParameters(inside, { heads, width });
  const parameters = Object.fromEntries(
    parametersOf(inside).map((parameter): [string, Tensor64] => [
      parameter.name,
      isTrained(parameter)
        ? heldValues(parameter, tensors[`${at}.${heldName(parameter)}`])
        : initial[parameter.name],
    ]),
  );
  return referenceForward(inside, { ...rows, parameters }, { guard: guards.f32 }).out;
}

/** Rows [1, heads, N, D] after the short convolution with weights [heads, taps, D]; the rows themselves without. */
function convolvedInF64(rows: Tensor64, weight: Tensor | Tensor64 | undefined): Tensor64 {
  if (weight === undefined) return rows;
  const [, , length, width] = rows.shape;
  const taps = weight.shape[1];
  return tensor64(
    rows.data.map((_, place) => {
      const head = Math.floor(place / (length * width));
      const t = Math.floor(place / width) % length;
      const d = place % width;
      let sum = 0;
      for (let tap = 0; tap < taps; tap++) {
        const from = t - (taps - 1 - tap);
        if (from < 0) continue;
        sum += weight.data[(head * taps + tap) * width + d] * rows.data[(head * length + from) * width + d];
      }
      return sum;
    }),
    rows.shape,
  );
}
