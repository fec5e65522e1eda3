/** @file Inner products that decide, in float32 with one order of summation, so that every backend decides alike. */

/** What a choice computes from rows and vectors of one width; a backend may bring its own, equal bit for bit. */
export interface ChoiceArithmetic {
  /** All inner products of rows [n, width] and vectors [m, width], [n, m]; to be read before the next call. */
  products(rows: Float32Array, vectors: Float32Array, width: number): Float32Array;
  /**
   * argmax[p; −p] over the inner products p of every row and the m vectors of each set, a number of [0, 2m); all sets have m. ties to the
   * lower number.
   */
  nearest(rows: Float32Array, sets: readonly Float32Array[], width: number): readonly Int32Array[];
  /**
   * The places of every row's largest products with its first `counts` vectors, as many as `choices`: one list for each
   * choice, the largest first, ties to the lower place; −1 where no product above −∞ is left.
   */
  largest(
    rows: Float32Array,
    vectors: Float32Array,
    width: number,
    counts: Int32Array,
    choices: number,
  ): readonly Int32Array[];
}

/** p_ij = Σ_d a_id·b_jd, every product and every sum rounded to float32, d ascending. */
function products(rows: Float32Array, vectors: Float32Array, width: number): Float32Array {
  const { fround } = Math;
  const [n, m] = [rows.length / width, vectors.length / width];
  const found = new Float32Array(n * m);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      let sum = 0;
      for (let d = 0; d < width; d++)
        sum = fround(sum + fround(rows[i * width + d] * vectors[j * width + d]));
      found[i * m + j] = sum;
    }
  }
  return found;
}

function nearestOf(row: Float32Array): number {
  let [largest, smallest, largestAt, smallestAt] = [-Infinity, Infinity, 0, 0];
  row.forEach((product, at) => {
    if (product > largest) [largest, largestAt] = [product, at];
    if (product < smallest) [smallest, smallestAt] = [product, at];
  });
  return largest >= -smallest ? largestAt : row.length + smallestAt;
}

type Products = ChoiceArithmetic["products"];

/** All of the arithmetic from its inner products. */
export const arithmeticOf = (of: Products): ChoiceArithmetic => ({
  products: of,
  nearest: (rows, sets, width) =>
    sets.map((vectors) => {
      const count = vectors.length / width;
      const found = of(rows, vectors, width);
      return Int32Array.from({ length: rows.length / width }, (_, row) =>
        nearestOf(found.subarray(row * count, (row + 1) * count)),
      );
    }),
  largest(rows, vectors, width, counts, choices) {
    const found = of(rows, vectors, width);
    const all = vectors.length / width;
    const chosen = Array.from({ length: choices }, () => new Int32Array(counts.length).fill(-1));
    counts.forEach((count, row) => {
      const own = found.subarray(row * all, row * all + count);
      const places = [...own.keys()].filter((place) => own[place] > -Infinity);
      places.sort((a, b) => own[b] - own[a] || a - b);
      places.slice(0, choices).forEach((place, choice) => (chosen[choice][row] = place));
    });
    return chosen;
  },
});

/** The arithmetic as it is defined. */
export const choiceArithmetic: ChoiceArithmetic = arithmeticOf(products);
