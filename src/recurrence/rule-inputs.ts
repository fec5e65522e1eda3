/** @file The inputs that rules share: their shapes and domains, logs of decays, and vectors of unit length. */
import { type Tensor64, zeros64 } from "../base/tensor.ts";
import { mapped, type RuleInput, type RuleInputs, type RuleSizes } from "./rule.ts";

type Shape = (sizes: RuleSizes) => readonly number[];

const tokenShape: Shape = ({ batch, keyHeads, tokens }) => [batch, keyHeads, tokens];
const channelShape: Shape = ({ batch, keyHeads, tokens, width }) => [batch, keyHeads, tokens, width];

/** q, k and v, which are checked before all others. */
export const queryInput: RuleInput = {
  name: "q",
  extents: "[B, H, N, D]",
  shape: ({ batch, heads, queries, width }) => [batch, heads, queries, width],
  domain: "real",
  need: "always",
};
export const keyInputs: readonly RuleInput[] = [
  { name: "k", extents: "[B, G, N, D]", shape: channelShape, domain: "real", need: "always" },
  {
    name: "v",
    extents: "[B, G, N, E]",
    shape: ({ batch, keyHeads, tokens, valueWidth }) => [batch, keyHeads, tokens, valueWidth],
    domain: "real",
    need: "always",
  },
];

/** The state before the first token, with what its last two extents are called. */
export function stateInput(shape: Shape, rows: string, columns: string): RuleInput {
  return { name: "state", extents: `[B, H, ${rows}, ${columns}]`, shape, domain: "real", need: "optional" };
}

/** M of D rows and E columns. */
export const matrixState: RuleInput = stateInput(
  ({ batch, heads, width, valueWidth }) => [batch, heads, width, valueWidth],
  "D",
  "E",
);

/** A decay w in (0, 1), or its logarithm in its place. */
export function decayInputs(per: "head and token" | "channel and token" | "channel"): readonly RuleInput[] {
  const [extents, shape] = {
    "head and token": ["[B, G, N]", tokenShape] as const,
    "channel and token": ["[B, G, N, D]", channelShape] as const,
    channel: ["[H, D]", ({ heads, width }: RuleSizes) => [heads, width]] as const,
  }[per];
  return [
    { name: "decay", extents, shape, domain: "open unit", need: { instead: "logDecay" } },
    { name: "logDecay", extents, shape, domain: "not positive", need: { instead: "decay" } },
  ];
}

/** The strength of a write, β in [0, 1] per head and token. */
export const betaInput: RuleInput = {
  name: "beta",
  extents: "[B, G, N]",
  shape: tokenShape,
  domain: "unit",
  need: "always",
};

/** The strength of a removal, a in [0, 1] per channel and token. */
export const rateInput: RuleInput = {
  name: "a",
  extents: "[B, G, N, D]",
  shape: channelShape,
  domain: "unit",
  need: "always",
};

/** What is removed from the state, before it is brought to unit length; k when absent. */
export const removalInput: RuleInput = {
  name: "kappa",
  extents: "[B, G, N, D]",
  shape: channelShape,
  domain: "real",
  need: "optional",
};

/** How far a scales what is written, per head of keys and channel; 1 when absent. */
export const replacementInput: RuleInput = {
  name: "ka",
  extents: "[G, D]",
  shape: ({ keyHeads, width }) => [keyHeads, width],
  domain: "real",
  need: "optional",
};

/** The bonus of a token for itself. */
export const bonusInput: RuleInput = {
  name: "u",
  extents: "[H, D]",
  shape: ({ heads, width }) => [heads, width],
  domain: "real",
  need: "always",
};

/** log w, from whichever was given, and the way back. */
export function decayLogs({ decay, logDecay }: RuleInputs): {
  readonly logs: Tensor64;
  readonly pullBack: (dLogs: Tensor64) => Partial<Record<"decay" | "logDecay", Tensor64>>;
} {
  if (decay === undefined) {
    return { logs: logDecay as Tensor64, pullBack: (dLogs) => ({ logDecay: dLogs }) };
  }
  return {
    logs: mapped(decay, Math.log),
    pullBack: (dLogs) => ({ decay: mapped(dLogs, (gradient, place) => gradient / decay.data[place]) }),
  };
}

/** Below this length a vector is divided by it, and not by its own. */
const smallestLength = 1e-12;

/** Rows x/max(‖x‖, 1e-12), and the way back. */
export function unitRows(tensor: Tensor64): {
  readonly rows: Tensor64;
  readonly pullBack: (dRows: Tensor64) => Tensor64;
} {
  const width = tensor.shape[3];
  const lengths = Float64Array.from({ length: tensor.data.length / width }, (_, row) =>
    Math.hypot(...tensor.data.subarray(row * width, (row + 1) * width)),
  );
  const lengthAt = (place: number): number => Math.max(lengths[Math.floor(place / width)], smallestLength);
  const rows = mapped(tensor, (value, place) => value / lengthAt(place));
  return {
    rows,
    pullBack: (dRows) => {
      const along = zeros64([lengths.length]);
      dRows.data.forEach((gradient, place) => {
        const row = Math.floor(place / width);
        if (lengths[row] > smallestLength) along.data[row] += gradient * rows.data[place];
      });
      return mapped(dRows, (gradient, place) => {
        const inRow = gradient - along.data[Math.floor(place / width)] * rows.data[place];
        return inRow / lengthAt(place);
      });
    },
  };
}

/** Rows times one number each, [B, G, N, D]·[B, G, N]. */
export function timesRows(rows: Tensor64, factors: Tensor64, sign = 1): Tensor64 {
  const width = rows.shape[3];
  return mapped(rows, (value, place) => sign * value * factors.data[Math.floor(place / width)]);
}

/** Σ_d x·y of each row, in the shape of `like`. */
export function rowDots(x: Tensor64, y: Tensor64, like: Tensor64): Tensor64 {
  const width = x.shape[3];
  const sums = zeros64(like.shape);
  x.data.forEach((value, place) => (sums.data[Math.floor(place / width)] += value * y.data[place]));
  return sums;
}

/** The sum of tensors of one shape. */
export function added(first: Tensor64, ...others: readonly Tensor64[]): Tensor64 {
  return mapped(first, (value, place) => others.reduce((sum, { data }) => sum + data[place], value));
}
