/** @file What an aggregation on jax-js returns: the joined values and how they change. */
import type { numpy as np } from "@jax-js/jax";
import { type WeighedTangent } from "./weigh.ts";

/** How what is joined changes. */
export interface JoinChanges {
  readonly weighed: WeighedTangent;
  readonly values: np.Array | undefined;
  readonly parameter: np.Array | undefined;
}

/** The joined values. */
export interface Joined {
  /** [B, H, Q, E]; zeros for a row without keys. */
  readonly out: np.Array;
  readonly tangent: (changes: JoinChanges) => np.Array | undefined;
}
