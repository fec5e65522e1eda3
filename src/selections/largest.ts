/** @file The places of the largest of some numbers. */

/**
 * Places of the largest of `length` numbers from `first` on, as many as `best` holds, the largest first, ties to the lower
 * place; returns how many there are.
 */
export function largest(numbers: Float32Array, first: number, length: number, best: Int32Array): number {
  let count = 0;
  for (let place = 0; place < length; place++) {
    const number = numbers[first + place];
    if (count === best.length && !(number > numbers[first + best[count - 1]])) continue;
    if (count < best.length) count++;
    let at = count - 1;
    for (; at > 0 && number > numbers[first + best[at - 1]]; at--) best[at] = best[at - 1];
    best[at] = place;
  }
  return count;
}
