/** @file What a key/value cache refuses: sizes, shapes and wishes that it cannot serve. */
import { type Composition, parametersOf } from "../../../attention/index.ts";
import { DomainError, ShapeError, UnsupportedError } from "../../../base/errors.ts";
import { requireFinite, sizeOf, type Tensor } from "../../../base/tensor.ts";

/** The extents of a cache, which stay. */
export interface CacheSizes {
  /** B (default 1). */
  readonly batch?: number;
  /** H, query heads. */
  readonly heads: number;
  /** G, key/value heads, dividing H (default H). */
  readonly keyHeads?: number;
  /** D */
  readonly width: number;
  /** E (default D). */
  readonly valueWidth?: number;
  /** Places to have room for at first (default 256, and no more than a causal window needs); more are made by doubling. */
  readonly capacity?: number;
}

const usualCapacity = 256;

/** Sizes with their defaults, if they make sense. */
export function checkSizes(sizes: CacheSizes): Required<CacheSizes> {
  const { batch = 1, heads, keyHeads = heads, width, valueWidth = width, capacity = usualCapacity } = sizes;
  const complete = { batch, heads, keyHeads, width, valueWidth, capacity };
  for (const [name, extent] of Object.entries(complete)) {
    if (Number.isSafeInteger(extent) && extent >= 1) continue;
    throw new DomainError(
      "cache-sizes",
      `Cannot make a cache as ${name} must be a whole number of at least 1: ${extent}. Write { heads: 4, width: 64 }`,
    );
  }
  if (heads % keyHeads === 0) return complete;
  throw new DomainError(
    "cache-sizes",
    `Cannot share keys among queries as the key heads must divide the query heads: ${heads} query heads, ${keyHeads} key ` +
      "heads. Change one of them",
  );
}

/** Refuses a tensor that is not of the wanted shape, where any n ≥ 1 may be the third extent, or not finite. */
export function requireShape(name: string, tensor: Tensor, wanted: readonly number[]): void {
  const fits =
    tensor.shape.length === 4 &&
    wanted.every((extent, axis) => extent >= 1 && extent === tensor.shape[axis]) &&
    tensor.data.length === sizeOf(wanted);
  if (!fits) {
    const shape = wanted.map((extent, axis) => (axis === 2 ? "n" : extent)).join(", ");
    throw new ShapeError(
      "cache-shape",
      `Cannot use ${name} as its shape must be [${shape}], n ≥ 1 and the same for k and v: [${tensor.shape.join(", ")}] with ` +
        `${tensor.data.length} numbers. The other extents are those that the cache was made with`,
    );
  }
  requireFinite(name, tensor);
}

/** Refuses what a cache does not return. */
export function requireLogSumExp({ normaliser }: Composition, extras: readonly string[]): void {
  const unknown = extras.find((extra) => extra !== "lse");
  if (unknown !== undefined) {
    throw new UnsupportedError(
      "unknown-extra",
      `Cannot return '${unknown}' as a cache returns lse beside out. Use attention() with an offset to see scores and weights`,
    );
  }
  if (extras.length === 0 || normaliser.name === "softmax") return;
  throw new UnsupportedError(
    "lse",
    `Cannot return 'lse' as only softmax has a log-sum-exp: the normaliser is '${normaliser.name}'. Ask for out alone`,
  );
}

/** A cache sees one token at a time: there is no first call to calibrate on. */
export function requireNothingCalibrated(
  composition: Composition,
  given: Readonly<Record<string, unknown>>,
): void {
  const missing = parametersOf(composition).find(
    ({ mode, name }) => mode === "auto" && !Object.hasOwn(given, name),
  );
  if (missing === undefined) return;
  throw new UnsupportedError(
    "cache-calibration",
    `Cannot make a cache as '${missing.name}' is calibrated on a whole call, which a cache never sees: nothing was given. ` +
      `Pass its value in parameters`,
  );
}
