/** @file Flat arrays as rows, for tests of tasks. */

/**
 * The rows of a flat array.
 *
 * @param flat - [rows, width]
 */
export function rowsOf(flat: Int32Array, width: number): number[][] {
  return Array.from({ length: flat.length / width }, (_, row) => [
    ...flat.subarray(row * width, (row + 1) * width),
  ]);
}

/** Five standard deviations of the frequency of something of probability `share` over `draws`; with a fixed seed the outcome is fixed too. */
export function allowedError(share: number, draws: number): number {
  return 5 * Math.sqrt((share * (1 - share)) / draws);
}
