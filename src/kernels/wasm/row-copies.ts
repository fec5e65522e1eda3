/**
 * @file Rows and their copies under a rearrangement: copies made of lifted rows, their sums brought back to the rows, and
 * the results of a row joined from those of all its copies. All arrays are [rows, width] in the virtual order, where the
 * first `count` rows are themselves.
 */

/** Writes every copy of a row. */
export function copyRows(data: Float32Array, width: number, order: Int32Array, count: number): void {
  for (let virtual = count; virtual < order.length; virtual++) {
    const [to, from] = [virtual * width, order[virtual] * width];
    for (let e = 0; e < width; e++) data[to + e] = data[from + e];
  }
}

/** Adds every copy to its row: x_r = Σ over the copies of r. */
export function addCopies(data: Float32Array, width: number, order: Int32Array, count: number): void {
  for (let virtual = count; virtual < order.length; virtual++) {
    const [from, to] = [virtual * width, order[virtual] * width];
    for (let e = 0; e < width; e++) data[to + e] += data[from + e];
  }
}

/**
 * Softmax of a row from the softmaxes of its copies, which see different keys:
 * e^lse = Σ_p e^{lse_p}, o = Σ_p e^{lse_p − lse}·o_p. A copy without keys has lse −∞ and weighs nothing.
 *
 * @param sink - is part of every e^{lse_p}, and stays in the sum once
 */
export function joinCopies(
  sums: { readonly out: Float32Array; readonly logSumExp: Float32Array; readonly width: number },
  order: Int32Array,
  count: number,
  sink: number | undefined,
): void {
  const { out, logSumExp, width } = sums;
  for (let virtual = count; virtual < order.length; virtual++) {
    const row = order[virtual];
    const [own, other] = [logSumExp[row], logSumExp[virtual]];
    if (other === -Infinity) continue;
    const top = Math.max(own, other);
    const repeated = sink === undefined || own === -Infinity ? 0 : Math.exp(sink - top);
    const [ownMass, otherMass] = [Math.exp(own - top), Math.exp(other - top)];
    const mass = ownMass + otherMass - repeated;
    const [to, from] = [row * width, virtual * width];
    for (let e = 0; e < width; e++) {
      out[to + e] = (ownMass * out[to + e] + otherMass * out[from + e]) / mass;
    }
    logSumExp[row] = top + Math.log(mass);
  }
}
