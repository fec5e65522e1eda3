/**
 * @file Byte-pair merging by score: of all neighbours whose union is a token, the best-scored pair becomes one (the leftmost of
 * equals), until none is left. A heap of candidates makes it O(n log n).
 */

/** What two neighbours merge to, or nothing. */
export type MergeOf = (
  left: number,
  right: number,
) => { readonly token: number; readonly score: number } | undefined;

interface Candidate {
  readonly score: number;
  /** The places of the two tokens. */
  readonly left: number;
  readonly right: number;
  /** What stood there when the candidate was made: it lapses when either has changed. */
  readonly leftToken: number;
  readonly rightToken: number;
  readonly token: number;
}

/**
 * Merges neighbours until no pair is left.
 *
 * @param tokens - where merging starts: characters, or bytes
 * @returns the tokens that remain
 */
export function mergePairs(tokens: readonly number[], mergeOf: MergeOf): number[] {
  const gone = -1;
  const at = [...tokens];
  const next = at.map((_, place) => place + 1);
  const previous = at.map((_, place) => place - 1);
  const heap = new CandidateHeap();

  function consider(left: number, right: number): void {
    if (left < 0 || right >= at.length) return;
    const merge = mergeOf(at[left], at[right]);
    if (merge !== undefined) heap.push({ ...merge, left, right, leftToken: at[left], rightToken: at[right] });
  }

  for (let place = 0; place + 1 < at.length; place++) consider(place, place + 1);
  for (let best = heap.pop(); best !== undefined; best = heap.pop()) {
    const { left, right, leftToken, rightToken, token } = best;
    if (at[left] !== leftToken || at[right] !== rightToken || next[left] !== right) continue;
    at[left] = token;
    at[right] = gone;
    next[left] = next[right];
    if (next[left] < at.length) previous[next[left]] = left;
    consider(previous[left], left);
    consider(left, next[left]);
  }
  return at.filter((token) => token !== gone);
}

/** A binary heap with the best candidate on top. */
class CandidateHeap {
  readonly #items: Candidate[] = [];

  push(item: Candidate): void {
    const items = this.#items;
    let place = items.length;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!isBetter(item, items[parent])) break;
      items[place] = items[parent];
      place = parent;
    }
    items[place] = item;
  }

  pop(): Candidate | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return top;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && isBetter(items[child + 1], items[child])) child++;
      if (!isBetter(items[child], last)) break;
      items[place] = items[child];
      place = child;
    }
    items[place] = last;
    return top;
  }
}

function isBetter(one: Candidate, other: Candidate): boolean {
  return one.score > other.score || (one.score === other.score && one.left < other.left);
}
