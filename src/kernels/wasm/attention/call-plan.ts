/** @file The tiles of one call: those of its pattern as it is, or of a rearrangement where that leaves clearly fewer. */
import { type AttentionInputs, type AttentionSizes, type Composition } from "../../../attention/index.ts";
import { type Tensor } from "../../../base/tensor.ts";
import { type Pattern } from "../../../patterns/index.ts";
import { roundUp, tileKeys, tileRows } from "./kernel-spec.ts";
import { rearrange, type Rearrangement } from "./rearrange.ts";
import { hasMoreTiles, rearrangedPlan, repeatedPlan, type TilePlan, tilePlan } from "./tile-plan.ts";

/** Lists of tiles, over virtual rows and keys where there is a rearrangement. */
export interface CallPlan {
  readonly rearrangement: Rearrangement | undefined;
  /** Found when first asked for: a call beyond the memory is refused before. */
  readonly tiles: () => TilePlan;
}

type Call = { readonly composition: Composition; readonly inputs: AttentionInputs<Tensor> };
type Sizes = Pick<AttentionSizes, "queries" | "keys">;
type Extent = Sizes & { readonly offset: number };

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
  const extent = seesAll(call, sizes) ? wholeTiles(sizes.keys) : { ...sizes, offset };
  const key = `${extent.queries} ${extent.keys} ${extent.offset} ${pattern === undefined}`;
  const found = ofPatterns.get(key) ?? newPlan(patterns, pattern, extent);
  if (ofPatterns.size >= mostPlans) ofPatterns.clear();
  ofPatterns.set(key, found);
  return found;
}

/** The plan of a single query for several that are at its place. */
export function ofOnePlace({ tiles }: CallPlan, queries: number): CallPlan {
  let own: TilePlan | undefined;
  return { rearrangement: undefined, tiles: () => (own ??= repeatedPlan(tiles(), queries)) };
}

/** Whether there is one query, at the last place, which sees all keys. */
function seesAll({ composition, inputs }: Call, { queries, keys }: Sizes): boolean {
  const isLast = queries === 1 && inputs.offset === keys - 1;
  return isLast && composition.patterns.every(({ name }) => name === "causal" || name === "full");
}

/** What a last query of any length up to the end of the last tile has the same plan as, so that decoding finds it again. */
function wholeTiles(keys: number): Extent {
  const whole = roundUp(keys, tileKeys);
  return { queries: 1, keys: whole, offset: whole - 1 };
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

function newPlan(patterns: readonly Pattern[], pattern: Pattern | undefined, sizes: Extent): CallPlan {
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
