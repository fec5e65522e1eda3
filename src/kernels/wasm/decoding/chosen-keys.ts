/**
 * @file Which keys of a cache the queries at its last place keep, where a selection chooses by the vectors: the choice follows the
 * keys as they are appended, in the float32 numbers that every backend chooses from.
 */
import { type Composition } from "../../../attention/index.ts";
import { UnsupportedError } from "../../../base/errors.ts";
import { type Tensor } from "../../../base/tensor.ts";
import { intersect } from "../../../patterns/index.ts";
import { type ChoiceArithmetic, type FollowedChoice } from "../../../selections/index.ts";
import { othersFirst } from "../../../selections/kept-keys.ts";
import { liftRows, type RowLift, rowLift } from "../attention/lift-rows.ts";
import { type CacheSizes } from "./cache-checks.ts";
import { type CacheParameters } from "./cache-parameters.ts";

export class ChosenKeys {
  readonly #composition: Composition;
  readonly #sizes: Required<CacheSizes>;
  readonly #parameters: CacheParameters;
  readonly #keyHeads: number;
  readonly #start: () => FollowedChoice;
  readonly #pattern: ReturnType<typeof intersect>;
  #choice: FollowedChoice;
  #length = 0;

  /**
   * @param arithmetic - inner products of a backend's own
   * @throws UnsupportedError `cache-selection` for choices that cannot be followed in order of time
   */
  constructor(
    composition: Composition,
    sizes: Required<CacheSizes>,
    parameters: CacheParameters,
    arithmetic?: ChoiceArithmetic,
  ) {
    requireFollowed(composition);
    this.#composition = composition;
    this.#sizes = sizes;
    this.#parameters = parameters;
    const { batch, heads, keyHeads, width } = sizes;
    this.#keyHeads = parameters.ownKeys ? heads : keyHeads;
    const all = { queryHeads: batch * heads, keyHeads: batch * this.#keyHeads, width };
    this.#start = () => composition.selection.follow!(all, arithmetic);
    this.#choice = this.#start();
    this.#pattern = intersect(composition.patterns);
  }

  /** How many numbers the choice keeps. */
  get size(): number {
    return this.#choice.size;
  }

  /** Takes keys [B, G, n, D] of the next places. */
  append({ data, shape }: Tensor): void {
    const { batch, heads, keyHeads, width } = this.#sizes;
    const count = shape[2];
    const lift = this.#liftOf("key", this.#length, count);
    const rows = new Float32Array(batch * this.#keyHeads * count * width);
    for (let number = 0; number < batch * this.#keyHeads; number++) {
      const [entry, own] = [Math.floor(number / this.#keyHeads), number % this.#keyHeads];
      const shared = entry * keyHeads + Math.floor((own * keyHeads) / this.#keyHeads);
      const head = this.#parameters.ownKeys ? own : own * (heads / keyHeads);
      const source = data.subarray(shared * count * width, (shared + 1) * count * width);
      const target = rows.subarray(number * count * width, (number + 1) * count * width);
      liftRows(lift, source, target, count, this.#parameters.rootMetric(head));
    }
    this.#choice.append(rows, count);
    this.#length += count;
  }

  /**
   * Places that every query head keeps.
   *
   * @param q - [B, H, 1, D], at the last place
   */
  keptBy(q: Tensor): readonly Int32Array[] {
    const { heads, width } = this.#sizes;
    const own = this.#length - 1;
    const lift = this.#liftOf("query", own, 1);
    const rows = new Float32Array(q.data.length);
    for (let number = 0; number * width < rows.length; number++) {
      const [from, to] = [number * width, (number + 1) * width];
      const root = this.#parameters.rootMetric(number % heads);
      liftRows(lift, q.data.subarray(from, to), rows.subarray(from, to), 1, root);
    }
    const { allows } = this.#pattern;
    const isPlain = this.#composition.patterns.every(({ name }) => name === "causal");
    return this.#choice.found(rows).map((found) => {
      const kept = isPlain ? found : found.filter((key) => allows(own, key));
      return this.#choice.isOwnLast ? othersFirst(kept, own, allows(own, own)) : kept;
    });
  }

  /** Forgets all keys. */
  clear(): void {
    this.#choice = this.#start();
    this.#length = 0;
  }

  /** A lift to plain rows, whatever segments kernels read. */
  #liftOf(side: "query" | "key", first: number, count: number): RowLift {
    const { width } = this.#sizes;
    const whole = { inner: "dot", isSymplectic: false, start: 0, stop: width, offset: 0, width } as const;
    return rowLift(
      side,
      { segments: [{ ...whole, paddedWidth: width }], width, rowWidth: width },
      this.#composition.position,
      { first, count, length: 0 },
      { hasMetric: this.#parameters.ownKeys, turnsInKernel: false },
    );
  }
}

function requireFollowed({ selection, patterns, position }: Composition): void {
  const reason =
    selection.follow === undefined
      ? "no way is known to follow its choice token by token"
      : !patterns.some(({ causal }) => causal)
        ? "a choice is followed in order of time, and the pattern is not causal"
        : position.place === "rotation" && position.decay !== undefined
          ? "xpos scales vectors by the length of the whole sequence, which a cache never sees"
          : undefined;
  if (reason === undefined) return;
  throw new UnsupportedError(
    "cache-selection",
    `Cannot make a cache as a selection that chooses by the vectors must follow keys as they come: ${reason} (${selection.name}). ` +
      "Call attention() with all keys and an offset",
  );
}
