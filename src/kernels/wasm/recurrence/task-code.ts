/** @file The functions that all tasks of a recurrence share. */
import { type WasmFunction } from "../assembler/assembler.ts";
import { blockCode, ownGradients, ownWeights, packing, type PairCode } from "./pairs.ts";
import { recurrenceProducts } from "./products.ts";
import { noteFinite, scalings } from "./scaling.ts";
import { solveFunction } from "./solve.ts";
import { extentsOf, recurrenceScratch, type RecurrenceSpec } from "./spec.ts";

/** What tasks are emitted with. */
export interface TaskCode extends PairCode {
  readonly solve: Readonly<Record<"keys" | "values" | "keysBack" | "valuesBack", WasmFunction>>;
  readonly noteFinite: WasmFunction;
  /** All of these functions that a module with these flags needs. */
  readonly functions: readonly WasmFunction[];
}

export function taskCode(spec: RecurrenceSpec): TaskCode {
  const { width, columns } = extentsOf(spec);
  const { core, relaxed } = spec;
  const products = recurrenceProducts(spec);
  const scaled = scalings(spec);
  const pack = {
    keys: packing("packKeyRows", width, relaxed),
    values: packing("packValueRows", columns, relaxed),
  };
  const blocks = { after: blockCode(spec, "after"), before: blockCode(spec, "before") };
  const own = { weights: ownWeights(spec), gradients: ownGradients(spec) };
  const { keys, values } = products;
  const solve = {
    keys: solveFunction(spec, "Keys", width, keys, false),
    values: solveFunction(spec, "Values", columns, values, false),
    keysBack: solveFunction(spec, "Keys", width, keys, true),
    valuesBack: solveFunction(spec, "Values", columns, values, true),
  };
  const finite = noteFinite(relaxed);
  const hasDecay = core.decay !== "none";
  const hasBonus = core.read === "bonus";
  const sights = [
    ...(hasBonus ? [] : [blocks.after]),
    ...(hasBonus || core.correction ? [blocks.before] : []),
  ];
  return {
    spec,
    layout: recurrenceScratch(spec),
    products,
    scalings: scaled,
    pack,
    blocks,
    own,
    solve,
    noteFinite: finite,
    functions: [
      finite,
      ...products.functions,
      pack.keys,
      pack.values,
      ...(hasDecay ? scaled.functions : []),
      ...sights.flatMap(({ mask, weigh, pull }) => (hasDecay ? [weigh, pull] : [mask])),
      ...(hasBonus ? [own.weights] : []),
      ...(hasBonus || hasDecay ? [own.gradients] : []),
      ...(core.correction ? Object.values(solve) : []),
    ],
  };
}
