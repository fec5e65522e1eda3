/**
 * @file A mixture-of-experts feed-forward in f64, token by token: a router, which is an attention over expert keys with any
 * similarity of the algebra, and the chosen experts alone. What the fused one is held against.
 */
import { referenceBackward, referenceForward } from "../../attention/index.ts";
import { type Tensor64, tensor64 } from "../../base/tensor.ts";
import { type Similarity } from "../../similarities/index.ts";
import { type ReferenceRouting, referenceRouting, referenceRoutingBackward } from "./routing.ts";
import { routerComposition, type RoutingRule } from "./routing-rule.ts";

/** Matrices as rows. */
type Matrix = readonly (readonly number[])[];

/** The inputs of a mixture in f64; `gate` is what makes its experts SwiGLU. */
export interface ReferenceMixture {
  /** [M, width] */
  readonly x: Matrix;
  /** Expert keys, [E, width] */
  readonly keys: Matrix;
  /** Of the router's similarity. */
  readonly parameters: Readonly<Record<string, Tensor64>>;
  /** [E, hidden, width] */
  readonly gate?: readonly Matrix[];
  /** [E, hidden, width] */
  readonly up: readonly Matrix[];
  /** [E, width, hidden] */
  readonly down: readonly Matrix[];
}

/** How a mixture is made: how its router compares, how it routes, and the smallest square under a root. */
export interface MixtureForm {
  readonly similarity: Similarity;
  readonly rule: RoutingRule;
  readonly guard?: number;
}

/** out_m = Σ_j g_mj·expert_j(x_m) over the chosen experts that take the token. */
export function referenceMixture(
  form: MixtureForm,
  inputs: ReferenceMixture,
): { readonly out: number[][]; readonly routing: ReferenceRouting } {
  const routing = referenceRouting(routerScores(form, inputs), form.rule);
  const out = inputs.x.map((row, token) => {
    const sum = row.map(() => 0);
    routing.chosen[token].forEach((expert, place) => {
      if (!routing.isKept[token][place]) return;
      const gate = routing.gates[token][place];
      expertOf(inputs, expert, row).out.forEach((value, d) => (sum[d] += gate * value));
    });
    return sum;
  });
  return { out, routing };
}

/**
 * Gradients of Σ out·dOut + dBalance·balance by every input and parameter.
 *
 * @param dOut - [M, width]
 */
export function referenceMixtureBackward(
  form: MixtureForm,
  inputs: ReferenceMixture,
  dOut: Matrix,
  dBalance: number,
): ReferenceMixture {
  const { x, keys, gate, up, down } = inputs;
  const scores = routerScores(form, inputs);
  const { chosen, gates, isKept } = referenceRouting(scores, form.rule);
  const zeros = (like: readonly Matrix[]): number[][][] =>
    like.map((matrix) => matrix.map((row) => row.map(() => 0)));
  const gradients = {
    x: zeros([x])[0],
    ...(gate === undefined ? {} : { gate: zeros(gate) }),
    up: zeros(up),
    down: zeros(down),
  };
  const byGates = chosen.map((own, token) =>
    own.map((expert, place) => {
      if (!isKept[token][place]) return 0;
      const weighed = dOut[token].map((value) => gates[token][place] * value);
      pullExpert(inputs, expert, token, weighed, gradients);
      return dot(dOut[token], expertOf(inputs, expert, x[token]).out);
    }),
  );
  const byScores = referenceRoutingBackward(scores, form.rule, byGates, dBalance);
  const { dq, dk, dParameters } = referenceBackward(
    routerComposition(form.similarity),
    routerInputs(inputs),
    tensor64(byScores.flat(), [1, 1, x.length, keys.length]),
    guardOf(form),
  );
  const width = x[0].length;
  return {
    ...gradients,
    x: gradients.x.map((row, token) => row.map((value, d) => value + dq.data[token * width + d])),
    keys: rowsOf(dk.data, width),
    parameters: dParameters,
  };
}

/** The scores of expert keys for tokens, [M, E]. */
export function routerScores(
  form: Pick<MixtureForm, "similarity" | "guard">,
  inputs: Pick<ReferenceMixture, "x" | "keys" | "parameters">,
): number[][] {
  const { out } = referenceForward(routerComposition(form.similarity), routerInputs(inputs), guardOf(form));
  return rowsOf(out.data, inputs.keys.length);
}

const guardOf = ({ guard }: Pick<MixtureForm, "guard">): { readonly guard?: number } =>
  guard === undefined ? {} : { guard };

/** Tokens as queries, expert keys as keys, the identity as values: what comes out is the scores. */
function routerInputs({
  x,
  keys,
  parameters,
}: Pick<ReferenceMixture, "x" | "keys" | "parameters">): Parameters<typeof referenceForward>[1] {
  const [tokens, experts, width] = [x.length, keys.length, x[0].length];
  const identity = keys.flatMap((_, row) => keys.map((_, column) => (row === column ? 1 : 0)));
  return {
    q: tensor64(x.flat(), [1, 1, tokens, width]),
    k: tensor64(keys.flat(), [1, 1, experts, width]),
    v: tensor64(identity, [1, 1, experts, experts]),
    parameters,
  };
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, place) => sum + value * b[place], 0);
const apply = (matrix: Matrix, row: readonly number[]): number[] => matrix.map((line) => dot(line, row));
const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

/** u·σ(2√(2/π)·(u + 0.044715u³)), GPT-2's approximation of GELU, and its slope. */
function gelu(u: number): { readonly value: number; readonly slope: number } {
  const factor = 2 * Math.sqrt(2 / Math.PI);
  const sigma = logistic(factor * (u + 0.044715 * u ** 3));
  return {
    value: u * sigma,
    slope: sigma + u * sigma * (1 - sigma) * factor * (1 + 3 * 0.044715 * u ** 2),
  };
}

/** What one expert makes of one token. */
export function expertOf(
  { gate, up, down }: Pick<ReferenceMixture, "gate" | "up" | "down">,
  expert: number,
  row: readonly number[],
): {
  readonly gates: number[] | undefined;
  readonly raised: number[];
  readonly hidden: number[];
  readonly out: number[];
} {
  const raised = apply(up[expert], row);
  const gates = gate === undefined ? undefined : apply(gate[expert], row);
  const hidden = raised.map((u, h) =>
    gates === undefined ? gelu(u).value : gates[h] * logistic(gates[h]) * u,
  );
  return { gates, raised, hidden, out: apply(down[expert], hidden) };
}

/** Adds the gradients of one expert's output for one token. */
function pullExpert(
  inputs: ReferenceMixture,
  expert: number,
  token: number,
  byOut: readonly number[],
  into: {
    readonly x: number[][];
    readonly gate?: number[][][];
    readonly up: number[][][];
    readonly down: number[][][];
  },
): void {
  const row = inputs.x[token];
  const { gates, raised, hidden } = expertOf(inputs, expert, row);
  const pullLine = (matrices: number[][][], weights: readonly Matrix[], h: number, byValue: number): void => {
    row.forEach((value, d) => {
      matrices[expert][h][d] += byValue * value;
      into.x[token][d] += byValue * weights[expert][h][d];
    });
  };
  hidden.forEach((value, h) => {
    byOut.forEach((gradient, d) => (into.down[expert][d][h] += gradient * value));
    const byHidden = byOut.reduce((sum, gradient, d) => sum + gradient * inputs.down[expert][d][h], 0);
    if (gates === undefined) {
      pullLine(into.up, inputs.up, h, byHidden * gelu(raised[h]).slope);
      return;
    }
    const sigma = logistic(gates[h]);
    pullLine(into.up, inputs.up, h, byHidden * gates[h] * sigma);
    const slope = sigma + gates[h] * sigma * (1 - sigma);
    pullLine(into.gate!, inputs.gate!, h, byHidden * raised[h] * slope);
  });
}

function rowsOf(flat: ArrayLike<number>, width: number): number[][] {
  return Array.from({ length: flat.length / width }, (_, row) =>
    Array.from({ length: width }, (_, d) => flat[row * width + d]),
  );
}
