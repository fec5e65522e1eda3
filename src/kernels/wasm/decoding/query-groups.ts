/**
 * @file Query heads that share a key head as rows of that head: the queries of one place see the same keys, so that a
 * cache is read once for the whole group (grouped-query attention; Ainslie et al. 2023).
 */
import { type Composition } from "../../../attention/index.ts";
import { type Tensor64 } from "../../../base/tensor.ts";

/**
 * The parameters of key heads, if their query heads differ in nothing but their queries; undefined where keys are not
 * shared, or where scores, values or sinks depend on the query head.
 *
 * @param parameters - by name, [H, …]
 * @returns by name, [G, …]
 */
export function groupedParameters(
  { similarity, position, aggregation }: Composition,
  { heads, keyHeads }: { readonly heads: number; readonly keyHeads: number },
  parameters: Readonly<Record<string, Tensor64>>,
): Readonly<Record<string, Tensor64>> | undefined {
  const isOwn =
    similarity.metric !== undefined || position.place === "bias" || aggregation.name === "centroid";
  if (heads === keyHeads || isOwn) return undefined;
  const grouped: Record<string, Tensor64> = {};
  for (const [name, { data, shape }] of Object.entries(parameters)) {
    const [width, group] = [data.length / heads, heads / keyHeads];
    const firstOf = (flat: number): number => {
      const head = Math.floor(flat / width);
      return (head - (head % group)) * width + (flat % width);
    };
    if (shape[0] !== heads || !data.every((value, flat) => value === data[firstOf(flat)])) return undefined;
    grouped[name] = {
      data: Float64Array.from(
        { length: keyHeads * width },
        (_, flat) => data[Math.floor(flat / width) * group * width + (flat % width)],
      ),
      shape: [keyHeads, ...shape.slice(1)],
    };
  }
  return grouped;
}
