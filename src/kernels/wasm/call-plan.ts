/** @file The tiles of one call: those of its pattern as it is, or of a rearrangement where that leaves clearly fewer. */
import { type AttentionInputs, type AttentionSizes, type Composition } from "../../attention/index.ts";
import { type Tensor } from "../../base/tensor.ts";
import { type Pattern } from "../../patterns/index.ts";
import { tileRows } from "./kernel-spec.ts";
import { rearrange, type Rearrangement } from "./rearrange.ts";
import { hasMoreTiles, rearrangedPlan, type TilePlan, tilePlan } from "./tile-plan.ts";

/** Lists of tiles, over virtual rows and keys where there is a rearrangement. */
export interface CallPlan {
  readonly rearrangement: Rearrangement | undefined;
  /** Found when first asked for: a call beyond the memory is refused before. */
  readonly tiles: () => TilePlan;
}

type Call = { readonly composition: Composition; readonly inputs: AttentionInputs<Tensor> };
type Sizes = Pick<AttentionSizes, "queries" | "keys">;

/** Copies cost time and memory: a rearrangement must leave at most this share of the tiles. */
const worthwhileShare = 1 / 2;

/** Decoding asks for a new plan at every step: few are kept. */
const mostPlans = 16;
const plans = new WeakMap<readonly Pattern[], Map<string, CallPlan>>();

/**
 * The plan of a call.
 *
 * @param showsPairs - whether scores are asked for, which lie in the order of rows and keys
 */
export function callPlan(call: Call, sizes: Sizes, showsPairs: boolean): CallPlan {
  const { patterns } = call.composition;
  const offset = call.inputs.offset ?? 0;
  const pattern = showsPairs ? undefined : rearrangeable(call, sizes);
  const ofPatterns = plans.get(patterns) ?? new Map<string, CallPlan>();
  plans.set(patterns, ofPatterns);
  const key = `${sizes.queries} ${sizes.keys} ${offset} ${pattern === undefined}`;
  const found = ofPatterns.get(key) ?? newPlan(patterns, pattern, { ...sizes, offset });
  if (ofPatterns.size >= mostPlans) ofPatterns.clear();
  ofPatterns.set(key, found);
  return found;
}

/**
 * The pattern by which a call may be rearranged: one strided or fixed pattern, alone or beside patterns that it implies,
 * where nothing else asks for the place of a pair, and rows enough that copies of keys are shared by many of them.
 */
function rearrangeable(call: Call, sizes: Sizes): Pattern | undefined {
  const { patterns } = call.composition;
  const [pattern, ...others] = patterns.filter(({ name }) => name !== "causal" && name !== "full");
  const isKnown = pattern !== undefined && (pattern.name === "strided" || pattern.name === "fixed");
  return isKnown && others.length === 0 && !asksForPlaces(call, sizes) ? pattern : undefined;
}

/** Whether something asks for the place of a pair, or rows are too few for copies of keys to be shared by many. */
export function asksForPlaces({ composition, inputs }: Call, { queries }: Pick<Sizes, "queries">): boolean {
  const { position, selection, aggregation } = composition;
  return (
    inputs.mask !== undefined ||
    inputs.bias !== undefined ||
    inputs.keyLengths !== undefined ||
    position.place === "bias" ||
    selection.limit !== undefined ||
    aggregation.name === "maxplus" ||
    queries < tileRows
  );
}

function newPlan(
  patterns: readonly Pattern[],
  pattern: Pattern | undefined,
  sizes: Sizes & { readonly offset: number },
): CallPlan {
  const { queries, keys, offset } = sizes;
  const rearrangement = pattern === undefined ? undefined : rearrange(pattern, queries, keys, offset);
  if (rearrangement !== undefined) {
    const tiles = rearrangedPlan(rearrangement);
    const most = tiles.rowEntries.length / 2 / worthwhileShare;
    if (hasMoreTiles(patterns, sizes, most)) return { rearrangement, tiles: () => tiles };
  }
  let own: TilePlan | undefined;
  return {
    rearrangement: undefined,
    tiles: () => (own ??= tilePlan(patterns, queries, keys, offset)),
  };
}
