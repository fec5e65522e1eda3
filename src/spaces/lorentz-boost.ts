/** @file Boosts: the translations of the hyperboloid, as matrices that keep ⟨x, y⟩_L. Laws are tested by their invariance. */
import { DomainError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { Tensor64 } from "../base/tensor.ts";
import { norm, scale, type Vector } from "./vector.ts";

/**
 * The boost [[cosh η, sinh η·nᵀ], [sinh η·n, I + (cosh η − 1)·nnᵀ]], which moves the origin by η/√c towards n.
 *
 * @param rapidity - η, any finite number
 * @param direction - its direction n is used, its length is not; not zero, width D
 * @returns shape [D + 1, D + 1], time first; apply it with `applyMatrix`
 * @throws DomainError `direction`
 * @example
 * ```ts
 * import { applyMatrix, lorentzBoost } from "qklab";
 * const boosted = applyMatrix(lorentzBoost(2, [1, 0]), [1, 0, 0]);
 * boosted[0] === Math.cosh(2); // true
 * ```
 */
export function lorentzBoost(rapidity: number, direction: Vector): Tensor64 {
  const length = norm(direction);
  if (!(length > 0 && length < Infinity && Number.isFinite(rapidity))) {
    throw new DomainError(
      "direction",
      `Cannot boost as rapidity and direction must be finite and the direction not zero: rapidity ${rapidity}, ` +
        `direction of length ${length}. Pass a vector that points somewhere`,
    );
  }
  const unit = scale(1 / length, direction);
  const extent = unit.length + 1;
  const data = new Float64Array(extent * extent);
  const stretch = 2 * Math.sinh(rapidity / 2) ** 2;
  data[0] = Math.cosh(rapidity);
  for (let row = 1; row < extent; row++) {
    data[row] = data[row * extent] = Math.sinh(rapidity) * unit[row - 1];
    for (let column = 1; column < extent; column++) {
      data[row * extent + column] = (row === column ? 1 : 0) + stretch * unit[row - 1] * unit[column - 1];
    }
  }
  return { data, shape: [extent, extent] };
}

/**
 * A boost in a uniformly random direction with rapidity uniform in [−largest, largest).
 *
 * @param stream - random numbers
 * @param width - D
 * @param largest - bound of |η|; rounding grows with e^{|η|}
 * @returns shape [D + 1, D + 1]
 * @example
 * ```ts
 * import { random, randomLorentzBoost } from "qklab";
 * randomLorentzBoost(random(0, "boost"), 4).shape; // [5, 5]
 * ```
 */
export function randomLorentzBoost(stream: Random, width: number, largest = 2): Tensor64 {
  const direction = Float64Array.from({ length: width }, () => stream.normal());
  return lorentzBoost(largest * (2 * stream.uniform() - 1), direction);
}
