/** @file Whether shapes are what a call needs, and how an error lists them. */

/** Something with a shape, or nothing where a call may go without. */
type Shaped = { readonly shape: readonly number[] } | undefined;

/** Whether a tensor has this shape; one that is absent has every shape. */
export function hasShape(tensor: Shaped, ...shape: readonly number[]): boolean {
  return (
    tensor === undefined ||
    (tensor.shape.length === shape.length && shape.every((extent, axis) => tensor.shape[axis] === extent))
  );
}

/** "x [2, 3], gain [3]": names and shapes of those that are there. */
export function listShapes(tensors: Readonly<Record<string, Shaped>>): string {
  return Object.entries(tensors)
    .flatMap(([name, tensor]) => (tensor === undefined ? [] : [`${name} [${tensor.shape.join(", ")}]`]))
    .join(", ");
}
