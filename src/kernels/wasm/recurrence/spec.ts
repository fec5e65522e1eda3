/** @file What the code of a recurrence depends on, the fields of its tasks' records, and the scratch memory of a thread. */
import { type Core } from "../../../recurrence/core.ts";
import { i32, type Local, type Value } from "../assembler/assembler.ts";
import { roundUp } from "../attention/kernel-spec.ts";

/** Tokens of a chunk: with D = E = 64 a state, and what is done within a chunk, take as many operations. */
export const chunkTokens = 64;
/** Rows of the blocks on the diagonal of a chunk's pairs. */
export const blockTokens = 8;

/** Everything that the code depends on. */
export interface RecurrenceSpec {
  readonly core: Core;
  /** D */
  readonly width: number;
  /** E, without the column of ones. */
  readonly valueWidth: number;
  readonly relaxed: boolean;
  readonly shared: boolean;
}

/** What the code of channels depends on, each a mean with a largest logarithm of its own. */
export interface ChannelSpec {
  readonly core: "channels";
  /** D, of keys and values. */
  readonly width: number;
  readonly relaxed: boolean;
  readonly shared: boolean;
}

/** All that a module's code depends on, as one text. */
export function specText(spec: RecurrenceSpec | ChannelSpec): string {
  const { width, relaxed, shared } = spec;
  if (spec.core === "channels") return ["channels", width, relaxed, shared].join();
  const { core, valueWidth } = spec;
  const { decay, correction, read, normalised, epsilon } = core;
  return [decay, correction, read, normalised, epsilon, width, valueWidth, relaxed, shared].join();
}

/** The channels of a row as the kernels see them. */
export const channelExtent = ({ width }: ChannelSpec): number => roundUp(width, 8);

/** Widths as the kernels see them, multiples of 8. */
export interface Extents {
  /** D' */
  readonly width: number;
  /** E', with the column of ones where sums are divided. */
  readonly columns: number;
  /** D'·E' */
  readonly state: number;
}

export function extentsOf({ core, width, valueWidth }: RecurrenceSpec): Extents {
  const padded = roundUp(width, 8);
  const columns = roundUp(valueWidth + (core.normalised ? 1 : 0), 8);
  return { width: padded, columns, state: padded * columns };
}

/** Fields of a task's record, each an i32: pointers in bytes, counts in rows. */
export const recurrenceFields = [
  "task",
  /** Rows [N, D'] of a head; `decay` holds w, [N] or [N, D']. */
  "q",
  "k",
  "v",
  "decay",
  "a",
  "b",
  "u",
  /** The product of w over each chunk, [chunks, D']. */
  "total",
  /** M at the start of a chunk, and the place of the next. */
  "state",
  /** ∂L/∂M at the end of a chunk. */
  "stateGradient",
  "out",
  "outGradient",
  /** What reads the state for the corrections, [N, D'], and what writes them, [N, D']. */
  "reader",
  "writer",
  /** c, [N, E'], and its gradient. */
  "corrections",
  "correctionGradient",
  "qGradient",
  "kGradient",
  "vGradient",
  "decayGradient",
  "aGradient",
  "bGradient",
  "uGradient",
  /** Tokens of the chunk that are there, columns of a scan, chunks of a scan or heads of a step. */
  "rows",
  "columns",
  "count",
  /** 1 for a scan forward, −1 for one backward. */
  "direction",
  /** For sums over parts; of a chunk, where it notes whether its numbers are finite. */
  "to",
  "stride",
] as const;
export type RecurrenceField = (typeof recurrenceFields)[number];

export function field(record: Local, name: RecurrenceField): Value {
  return i32.load(record, 4 * recurrenceFields.indexOf(name));
}

/** Byte offsets in a thread's scratch memory. */
export interface RecurrenceScratch {
  /** Pairs of a chunk, [C, C] each: reads by q or b, writes by k or a; then their gradients. */
  readonly pairs: Readonly<Record<PairName, number>>;
  readonly pairGradients: Readonly<Record<PairName, number>>;
  /** Rows [C, D'] that are scaled by decays, by what they are of. */
  readonly scaled: Readonly<Record<"q" | "b" | "k" | "a", number>>;
  /** Panels of eight rows of [C, D'], and of [C, E']. */
  readonly packedKeys: number;
  readonly packedValues: number;
  /** Panels of a state. */
  readonly packedState: number;
  /** Rows [C, D'] of a sum that is scaled before it is added. */
  readonly sum: number;
  /** One row of D', and one of E'. */
  readonly row: number;
  readonly columnRow: number;
  readonly bytes: number;
}

/** Reader and writer of a pair. */
export type PairName = "qk" | "qa" | "bk" | "ba";

export function recurrenceScratch(spec: RecurrenceSpec): RecurrenceScratch {
  const { width, columns, state } = extentsOf(spec);
  let bytes = 0;
  const take = (floats: number): number => {
    const at = bytes;
    bytes += roundUp(4 * floats, 64);
    return at;
  };
  const pairs = (): Record<PairName, number> => {
    const one = (): number => take(chunkTokens * chunkTokens);
    return spec.core.correction
      ? { qk: one(), qa: one(), bk: one(), ba: one() }
      : { qk: one(), qa: 0, bk: 0, ba: 0 };
  };
  const rows = (extent: number): number => take(chunkTokens * extent);
  return {
    pairs: pairs(),
    pairGradients: pairs(),
    scaled: { q: rows(width), b: rows(width), k: rows(width), a: rows(width) },
    packedKeys: rows(width),
    packedValues: rows(columns),
    packedState: take(state),
    sum: rows(width),
    row: take(width),
    columnRow: take(columns),
    bytes,
  };
}
