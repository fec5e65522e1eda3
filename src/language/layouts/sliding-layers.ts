/** @file Which layers of a Qwen see a window of places only. */
import * as v from "valibot";
import { ShapeError } from "../../base/errors.ts";
import { type Absent, type Entries, extent, flag, most, word } from "./read-config.ts";

/** The members of a config that windows are read from. */
export const slidingEntries: Entries<Omit<SlidingMembers, "num_hidden_layers">> = {
  use_sliding_window: v.nullish(flag),
  sliding_window: v.nullish(extent(most.length)),
  max_window_layers: v.nullish(
    v.pipe(v.number("a number is needed"), v.integer("a whole number is needed"), v.minValue(0)),
  ),
  layer_types: v.nullish(v.array(word("full_attention", "sliding_attention"))),
};

/** What {@link slidingEntries} read. */
export interface SlidingMembers {
  readonly num_hidden_layers: number;
  readonly use_sliding_window?: Absent<boolean>;
  readonly sliding_window?: Absent<number>;
  readonly max_window_layers?: Absent<number>;
  readonly layer_types?: Absent<readonly ("full_attention" | "sliding_attention")[]>;
}

/** Where `max_window_layers` is left out. */
const defaultFullLayers = 28;
const defaultWindow = 4096;

/**
 * The window of every layer: only with `use_sliding_window`, and then of the layers that `layer_types` names, or of those from
 * `max_window_layers` on.
 *
 * @throws ShapeError `config-layers` where `layer_types` has not one entry a layer
 */
export function windowsOf(members: SlidingMembers): (layer: number) => number | undefined {
  const { layer_types: types, num_hidden_layers: layers, max_window_layers: full } = members;
  if (types !== undefined && types !== null && types.length !== layers) {
    throw new ShapeError(
      "config-layers",
      `Cannot read layer_types as it has one entry a layer: ${types.length} entries, ${layers} layers. Correct config.json`,
    );
  }
  if (members.use_sliding_window !== true) return () => undefined;
  const places = members.sliding_window === undefined ? defaultWindow : (members.sliding_window ?? undefined);
  const slides = (layer: number): boolean =>
    types?.[layer] === undefined
      ? layer >= (full ?? defaultFullLayers)
      : types[layer] === "sliding_attention";
  return (layer) => (slides(layer) ? places : undefined);
}
