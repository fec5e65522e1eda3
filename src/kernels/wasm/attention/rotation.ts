/** @file Which rows a kernel turns by their place, and the tables of cosines and sines that it turns them by. */
import { type Position, rotaryTable } from "../../../positions/index.ts";

/** Which coordinates a kernel turns: pairs (m, m + dims/2), or (2m, 2m + 1). */
export interface RotationSpec {
  readonly layout: "half" | "interleaved";
  readonly dims: number;
}

/** The rotation of rows that hold their coordinates as they are, where whole vectors can turn. */
export function rotationSpec(position: Position, width: number): RotationSpec | undefined {
  if (position.place !== "rotation") return undefined;
  const { layout } = position;
  const dims = 2 * position.pairs(width).length;
  return dims % (layout === "half" ? 8 : 4) === 0 ? { layout, dims } : undefined;
}

/** What `turnSign` holds: the bit that turns a sine around, or none. */
export const turnSigns: { readonly forth: number; readonly back: number } = { forth: 0, back: -(2 ** 31) };

/** Numbers of a row of the table: cosines, then sines, in the order in which the code reads them. */
export const turnWidth = ({ layout, dims }: RotationSpec): number => (layout === "half" ? dims : 2 * dims);

type Places = Parameters<typeof rotaryTable>[2];

/** Tables by position: a model asks for the same ones at every step. */
const tables = new WeakMap<Position, Map<string, Float32Array>>();
const mostTables = 4;

/** The table of `places.count` rows, [count, turnWidth]. */
export function turnTable(
  position: Position,
  spec: RotationSpec,
  width: number,
  places: Places,
): Float32Array {
  if (position.place !== "rotation") return new Float32Array();
  const { first, count, length, role } = places;
  // Without xPos, queries and keys turn alike, whatever the length.
  const key = [width, first, count, ...(position.decay === undefined ? [] : [length, role])].join(" ");
  const ofPosition = tables.get(position) ?? new Map<string, Float32Array>();
  tables.set(position, ofPosition);
  const found = ofPosition.get(key);
  if (found !== undefined) return found;
  const { cos, sin } = rotaryTable(position, width, places);
  const pairs = spec.dims / 2;
  const table = new Float32Array(places.count * turnWidth(spec));
  for (let row = 0; row < places.count; row++) {
    const to = row * turnWidth(spec);
    for (let m = 0; m < pairs; m++) {
      const [c, s] = [cos[row * pairs + m], sin[row * pairs + m]];
      if (spec.layout === "half") {
        table[to + m] = c;
        table[to + pairs + m] = s;
      } else {
        table[to + 2 * m] = c;
        table[to + 2 * m + 1] = c;
        table[to + spec.dims + 2 * m] = -s;
        table[to + spec.dims + 2 * m + 1] = s;
      }
    }
  }
  if (ofPosition.size >= mostTables) ofPosition.clear();
  ofPosition.set(key, table);
  return table;
}
