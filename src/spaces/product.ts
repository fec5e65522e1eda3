/**
 * @file Products of spaces: the coordinates are cut into blocks, one a member, and squared distances add,
 * d² = Σ w_m d_m². Gu et al. 2019, Learning Mixed-Curvature Representations in Product Spaces.
 */
import { DomainError, ShapeError } from "../base/errors.ts";
import { defineSpace, type Space, type SpaceFactory } from "./space.ts";
import type { Vector } from "./vector.ts";

/** One block of coordinates of a product. */
export interface ProductMember {
  readonly space: Space;
  /** How many coordinates are the member's. */
  readonly width: number;
  /** w > 0, by which its squared distances count (default 1). */
  readonly weight?: number;
}

/**
 * The product of spaces: d(x, y) = √Σ w_m d_m(x_m, y_m)² over consecutive blocks of coordinates.
 *
 * @param members - space, width and weight of each block, in order
 * @throws ShapeError `empty-product`, and whatever a member says about its width
 * @throws DomainError `product-weight`
 * @example
 * ```ts
 * import { euclideanSpace, lorentzSpace, productSpace } from "qklab";
 * const mixed = productSpace([{ space: lorentzSpace(), width: 2 }, { space: euclideanSpace(), width: 1 }]);
 * mixed.distance([Math.sinh(3), 0, 0], [0, 0, 4]); // 5
 * ```
 */
export const productSpace: SpaceFactory<[members: readonly ProductMember[]]> = defineSpace(
  {
    name: "product",
    sentence:
      "A product of spaces: each block of coordinates has its own curvature, and squared distances add.",
    coordinates: "the members' coordinates one after another; the width is the sum of theirs",
  },
  (members: readonly ProductMember[]) => {
    const blocks = cutIntoBlocks(members);
    const { stop } = blocks[blocks.length - 1];
    const liftedWidth = blocks.reduce(
      (sum, { space, start, stop: end }) => sum + space.liftedWidth(end - start),
      0,
    );
    return {
      requireWidth(width) {
        if (width === stop) return;
        throw new ShapeError(
          "vector-width",
          `Cannot use 'product' as its members have ${stop} coordinates together: width ${width}. ` +
            "Change a member's width, or pass vectors of that width",
        );
      },
      liftedWidth: () => liftedWidth,
      lift(x, out) {
        let offset = 0;
        for (const { space, start, stop: end } of blocks) {
          const width = space.liftedWidth(end - start);
          space.lift(part(x, start, end), out.subarray(offset, offset + width));
          offset += width;
        }
        return out;
      },
      distance: (x, y) =>
        Math.sqrt(
          blocks.reduce(
            (sum, { space, weight, start, stop: end }) =>
              sum + weight * space.distance(part(x, start, end), part(y, start, end)) ** 2,
            0,
          ),
        ),
      riemannianGradient(x, gradient, out) {
        for (const { space, weight, start, stop: end } of blocks) {
          const own = out.subarray(start, end);
          space.riemannianGradient(part(x, start, end), part(gradient, start, end), own);
          for (let d = 0; d < own.length; d++) own[d] /= weight;
        }
        return out;
      },
      retract(x, step, out) {
        for (const { space, start, stop: end } of blocks) {
          space.retract(part(x, start, end), part(step, start, end), out.subarray(start, end));
        }
        return out;
      },
    };
  },
);

interface ProductBlock {
  readonly space: Space;
  readonly weight: number;
  readonly start: number;
  readonly stop: number;
}

function cutIntoBlocks(members: readonly ProductMember[]): readonly ProductBlock[] {
  if (members.length === 0) {
    throw new ShapeError(
      "empty-product",
      "Cannot make a product as it needs at least one member: none was given. Pass { space, width } of each block",
    );
  }
  let start = 0;
  return members.map(({ space, width, weight = 1 }) => {
    space.requireWidth(width);
    if (!(weight > 0 && weight < Infinity)) {
      throw new DomainError(
        "product-weight",
        `Cannot weigh '${space.name}' in a product as a weight must be finite and above zero: ${weight}. ` +
          "Leave members without weight out",
      );
    }
    const block = { space, weight, start, stop: start + width };
    start = block.stop;
    return block;
  });
}

/** The block of a vector, without a copy where it is a typed array. */
function part(x: Vector, start: number, stop: number): Vector {
  return x instanceof Float64Array ? x.subarray(start, stop) : Array.from(x).slice(start, stop);
}
