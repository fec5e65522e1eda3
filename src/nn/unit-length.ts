/** @file Vectors at unit length. */
import { numpy as np } from "@jax-js/jax";

/** Under the root: vectors shorter than its root, 10⁻⁶, stay shorter than 1, and a vector of zeros keeps a gradient. */
const epsilon = 1e-12;

/**
 * x/√(‖x‖² + ε).
 *
 * @param x - [..., D]; consumed
 */
export function unitLength(x: np.Array): np.Array {
  const squares = x.ref.mul(x.ref).sum(-1, { keepdims: true });
  return x.div(np.sqrt(squares.add(epsilon)));
}
