/** @file Calls whose selection chooses by the vectors: the plan of every head, or a mask where the place of a pair is asked for. */
import { type AttentionInputs, type Composition, resolveParameters } from "../../../attention/index.ts";
import { chooserOf, maskedCall, openComposition } from "../../../attention/chosen-pairs.ts";
import { headPlaces } from "../../../attention/lifted-head.ts";
import { type Tensor } from "../../../base/tensor.ts";
import { intersect, type Pattern } from "../../../patterns/index.ts";
import { asksForPlaces, type CallPlan } from "../attention/call-plan.ts";
import { chosenPlan, type HeadPlan } from "./chosen-plan.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { sizesOf } from "../attention/head-rows.ts";
import { tileRows } from "../attention/kernel-spec.ts";
import { choiceOnEngine } from "./wasm-choice.ts";

/** A call that kernels can run: its composition keeps what plans or mask allow. */
export interface ChosenCall {
  readonly composition: Composition;
  readonly inputs: AttentionInputs<Tensor>;
  /** One plan for each query head of all batch entries; absent where the choice is a mask, or there is none. */
  readonly plans?: readonly CallPlan[];
}

/**
 * Makes the choice of a call.
 *
 * @param known - plans of an earlier call with the same inputs
 */
export function chosenCall(
  engine: WasmEngine,
  composition: Composition,
  inputs: AttentionInputs<Tensor>,
  { showsPairs, known }: { readonly showsPairs: boolean; readonly known?: readonly CallPlan[] | undefined },
): ChosenCall {
  if (composition.selection.choose === undefined) return { composition, inputs };
  const sizes = sizesOf(inputs);
  const arithmetic = choiceOnEngine(engine);
  if (showsPairs || asksForPlaces({ composition, inputs }, sizes)) {
    return maskedCall(composition, inputs, sizes, arithmetic);
  }
  const open = openComposition(composition);
  if (known !== undefined) return { composition: open, inputs, plans: known };
  const parameters = resolveParameters(composition, sizes, inputs.parameters);
  const choose = chooserOf(composition, inputs, sizes, parameters, arithmetic)!;
  const { allows } = intersect(composition.patterns);
  const pairs = {
    queries: sizes.queries,
    keys: sizes.keys,
    offset: inputs.offset ?? 0,
    pattern: patternOf(composition.patterns),
    allows,
  };
  const plans = headPlaces(sizes).map((place) => chosenPlan(engine, choose(place), pairs));
  return { composition: open, inputs, plans: equallyLong(plans) };
}

/** Plans of one number of virtual rows and keys: what shorter ones lack are copies of row and key 0 that no tile names. */
function equallyLong(plans: readonly HeadPlan[]): readonly HeadPlan[] {
  const rows = Math.max(...plans.map(({ rearrangement }) => rearrangement.rows.length));
  const keys = Math.max(...plans.map(({ rearrangement }) => rearrangement.keys.length));
  return plans.map(({ rearrangement, tiles }) => {
    const { rowStart, ...others } = tiles();
    const starts = longer(rowStart, Math.ceil(rows / tileRows) + 1, rowStart.at(-1));
    const plan = { ...others, rowStart: starts };
    return {
      rearrangement: { rows: longer(rearrangement.rows, rows), keys: longer(rearrangement.keys, keys) },
      tiles: () => plan,
    };
  });
}

/** A list with a number behind, up to a length. */
function longer(list: Int32Array, length: number, by = 0): Int32Array {
  if (list.length === length) return list;
  const whole = new Int32Array(length).fill(by, list.length);
  whole.set(list);
  return whole;
}

function patternOf(patterns: readonly Pattern[]): "causal" | "full" | "other" {
  const names = patterns.map(({ name }) => name).filter((name) => name !== "full");
  if (names.length === 0) return "full";
  return names.every((name) => name === "causal") ? "causal" : "other";
}
