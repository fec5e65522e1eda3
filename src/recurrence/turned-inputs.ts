/**
 * @file Queries and keys of a recurrence turned by their places, before its rule sees them, and the way back for gradients. Where a
 * rule compares by q·k the turn depends on the distance of places only; a feature map sees vectors that are turned, as in Zhang et
 * al. 2024, LoLCATs.
 */
import { rotate } from "../attention/lifted-head.ts";
import { type Tensor64 } from "../base/tensor.ts";
import { type RotaryPosition, rotaryTable } from "../positions/index.ts";

/** What is turned: whichever of them is there. */
interface Turned {
  readonly q?: Tensor64;
  readonly k?: Tensor64;
}

/**
 * Both turned.
 *
 * @param sides - q [B, H, N, D] and k [B, G, N, D], or their gradients
 * @param offset - the place of their first token
 * @param direction - 1 for what is compared; −1 for gradients, which is the transposed map
 * @returns copies
 */
export function turned<Sides extends Turned>(
  position: RotaryPosition,
  { q, k, ...others }: Sides,
  offset: number,
  direction: 1 | -1,
): Sides {
  const turn = (role: "query" | "key", { data, shape }: Tensor64): Tensor64 => {
    const [batch, heads, count, width] = shape;
    const table = rotaryTable(position, width, { first: offset, count, role, length: offset + count });
    const rows = data.slice();
    for (let head = 0; head < batch * heads; head++) {
      const size = count * width;
      rotate(rows.subarray(head * size, (head + 1) * size), width, table, direction);
    }
    return { data: rows, shape };
  };
  return {
    ...others,
    ...(q === undefined ? {} : { q: turn("query", q) }),
    ...(k === undefined ? {} : { k: turn("key", k) }),
  } as Sides;
}
