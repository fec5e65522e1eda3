/** @file Which attentions the kernels know. Others are refused, never computed by something else in silence. */
import { type Composition } from "../../../attention/index.ts";
import { UnsupportedError } from "../../../base/errors.ts";

const known: Readonly<Record<"normaliser" | "aggregation" | "selection", readonly string[]>> = {
  normaliser: ["softmax", "sigmoid", "none"],
  aggregation: ["mean", "centroid", "maxplus"],
  selection: ["all", "topk", "lsh", "moba"],
};

/**
 * Refuses what the kernels do not compute.
 *
 * @throws UnsupportedError `wasm-part` for a normaliser, aggregation or selection of somebody's own
 */
export function requireSupported(composition: Composition): void {
  for (const kind of ["normaliser", "aggregation", "selection"] as const) {
    const { name } = composition[kind];
    if (known[kind].includes(name)) continue;
    throw new UnsupportedError(
      "wasm-part",
      `Cannot attend on wasm as its kernels know the ${kind}s ${known[kind].join(", ")}: '${name}'. Use the device jax`,
    );
  }
}
