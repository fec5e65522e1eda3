/**
 * @file Recall: multi-query associative recall (MQAR; Arora et al. 2023, zoology's `multiquery_ar`). A sequence shows
 * pairs of a key and a value, then asks for the value of every key. In tokens it needs two layers (one to join each value
 * with the key before it, one to look up); in vectors, where key and value arrive joined, one mixer layer solves it.
 */
import { DomainError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { requireWhole } from "./whole-number.ts";

/** Settings of the token form; zoology's defaults where there are any. */
export interface RecallTokenSettings {
  /** V: keys are {1 … ⌊V/2⌋ − 1}, values {⌊V/2⌋ … V − 1}, the filler is 0. */
  readonly vocabulary: number;
  /** L: tokens of a sequence. */
  readonly length: number;
  /** n: pairs of a sequence, each asked for once; 4n ≤ L. */
  readonly pairs: number;
  /** B: sequences of a batch. */
  readonly batch: number;
  /** a > 0 of the power law p(g) ∝ a·g^(a−1) of the gaps; 1 is uniform, the default 0.01 asks soon. */
  readonly powerA?: number;
  /** What stands where nothing is asked: token 0 (default), or any token but this sequence's keys. */
  readonly fillers?: "zero" | "random";
}

/** Where a batch asks, and what is right there. A loss at any other place would be noise. */
export interface RecallQueries {
  /** Place of each query in its sequence, [B, n], in the order of the pairs (tokens) or of the places (vectors). */
  readonly positions: Int32Array;
  /** The answer at that same place, [B, n]: a token, or a row of the value table. */
  readonly targets: Int32Array;
}

/** A batch of the token form. */
export interface RecallTokenBatch extends RecallQueries {
  /** [B, L] */
  readonly tokens: Int32Array;
}

/**
 * A batch of recall in tokens: k₁v₁…k_nv_n, then each key once more at context + 2(g−1), with the gaps g ∈ {1 … (L−2n)/2}
 * drawn one after another, without replacement, by p(g) ∝ a·g^(a−1). The answer is scored at the query itself.
 *
 * No filler can fake a pair: a key of the sequence stands only in its pair and at its query, so the one token that ever
 * followed it before the query is its value. Zoology draws random fillers from the whole vocabulary, where at V = 256 up to
 * 10 % of the queries have an earlier copy of their key with a wrong follower, which caps every model's accuracy.
 *
 * @param settings - sizes and distribution
 * @param rng - `random(seed, "recall", split, step)`: fresh data every step, as a small fixed set is memorised instead
 * @returns tokens [B, L]; positions and targets [B, n]
 * @throws DomainError `bad-setting`, `recall-length`, `recall-vocabulary` or `recall-power`
 * @example
 * ```ts
 * import { random } from "qklab";
 * import { recallTokens } from "qklab/tasks";
 * const settings = { vocabulary: 256, length: 64, pairs: 8, batch: 4 };
 * const { tokens, positions, targets } = recallTokens(settings, random(1, "recall", "train", 0));
 * tokens.length; // 256, which is [4, 64]
 * ```
 */
export function recallTokens(settings: RecallTokenSettings, rng: Random): RecallTokenBatch {
  const { vocabulary, length, pairs, batch, powerA = 0.01, fillers = "zero" } = settings;
  checkTokenSettings({ vocabulary, length, pairs, batch, powerA });
  const firstValue = Math.floor(vocabulary / 2);
  const context = 2 * pairs;
  const weights = gapWeights((length - context) >> 1, powerA);

  const tokens = new Int32Array(batch * length);
  const positions = new Int32Array(batch * pairs);
  const targets = new Int32Array(batch * pairs);
  for (let sequence = 0; sequence < batch; sequence++) {
    const start = sequence * length;
    const keys = rng.distinct(pairs, firstValue - 1).map((key) => key + 1);
    const values = rng.distinct(pairs, vocabulary - firstValue).map((value) => value + firstValue);
    const slots = weightedDistinct(pairs, weights, rng);
    if (fillers === "random") {
      tokens.set(randomFillers(length - context, vocabulary, keys, rng), start + context);
    }
    for (let pair = 0; pair < pairs; pair++) {
      const position = context + 2 * slots[pair];
      tokens[start + 2 * pair] = keys[pair];
      tokens[start + 2 * pair + 1] = values[pair];
      tokens[start + position] = keys[pair];
      positions[sequence * pairs + pair] = position;
      targets[sequence * pairs + pair] = values[pair];
    }
  }
  return { tokens, positions, targets };
}

/** Settings of the vector form. */
export interface RecallVectorSettings {
  /** n: pairs of a sequence, each asked for once. */
  readonly pairs: number;
  /** Coordinates of a key. */
  readonly keyWidth: number;
  /** B: sequences of a batch. */
  readonly batch: number;
  /** Standard deviation of the noise on a query's key, in units of a key coordinate's; default 0. */
  readonly noise?: number;
}

/** The values that the vector form can show and ask for: one row for each class. */
export interface ValueTable {
  readonly classes: number;
  readonly valueWidth: number;
  /** [classes, valueWidth] */
  readonly rows: Float32Array;
}

/** A batch of the vector form. */
export interface RecallVectorBatch extends RecallQueries {
  /** [B, 2n, keyWidth + valueWidth] */
  readonly inputs: Float32Array;
}

/**
 * A value table of independent N(0, 1) rows, fixed for a whole experiment.
 *
 * @param classes - rows, at least the pairs of a sequence
 * @param valueWidth - coordinates of a row
 * @param rng - `random(seed, "recall", "values")`
 * @throws DomainError `bad-setting`
 * @example
 * ```ts
 * import { random } from "qklab";
 * import { valueTable } from "qklab/tasks";
 * valueTable(256, 16, random(1, "recall", "values")).rows.length; // 4096
 * ```
 */
export function valueTable(classes: number, valueWidth: number, rng: Random): ValueTable {
  requireWhole("make a value table", "classes", classes, 2);
  requireWhole("make a value table", "valueWidth", valueWidth, 1);
  return { classes, valueWidth, rows: rng.normals(classes * valueWidth) };
}

/**
 * A batch of recall in vectors: n inputs [k; v] with keys k ~ N(0, I) fresh for every sequence and values from distinct
 * rows of the table, then n queries [k + noise; 0] in random order. The answer is the row's class: the loss is a
 * cross-entropy against the products of the output with the table.
 *
 * A causal query also sees itself and the queries before it; their values are 0, so they shrink the output and leave its
 * direction, and with it the answer, alone.
 *
 * @param settings - sizes and noise
 * @param values - from {@link valueTable}
 * @param rng - `random(seed, "recall", split, step)`
 * @returns inputs [B, 2n, keyWidth + valueWidth]; positions (always n … 2n − 1) and targets [B, n]
 * @throws DomainError `bad-setting`, `recall-classes` or `recall-noise`
 * @example
 * ```ts
 * import { random } from "qklab";
 * import { recallVectors, valueTable } from "qklab/tasks";
 * const values = valueTable(256, 16, random(1, "recall", "values"));
 * const batch = recallVectors({ pairs: 8, keyWidth: 4, batch: 32 }, values, random(1, "recall", "train", 0));
 * batch.inputs.length; // 10240, which is [32, 16, 20]
 * ```
 */
export function recallVectors(
  settings: RecallVectorSettings,
  values: ValueTable,
  rng: Random,
): RecallVectorBatch {
  const { pairs, keyWidth, batch, noise = 0 } = settings;
  checkVectorSettings({ pairs, keyWidth, batch, noise }, values);
  const width = keyWidth + values.valueWidth;
  const inputs = new Float32Array(batch * 2 * pairs * width);
  const positions = new Int32Array(batch * pairs);
  const targets = new Int32Array(batch * pairs);
  for (let sequence = 0; sequence < batch; sequence++) {
    const keys = rng.normals(pairs * keyWidth);
    const classes = rng.distinct(pairs, values.classes);
    const order = rng.distinct(pairs, pairs);
    for (let slot = 0; slot < pairs; slot++) {
      const shown = (sequence * 2 * pairs + slot) * width;
      inputs.set(keys.subarray(slot * keyWidth, (slot + 1) * keyWidth), shown);
      const row = classes[slot] * values.valueWidth;
      inputs.set(values.rows.subarray(row, row + values.valueWidth), shown + keyWidth);

      const asked = order[slot];
      const query = (sequence * 2 * pairs + pairs + slot) * width;
      for (let coordinate = 0; coordinate < keyWidth; coordinate++) {
        const disturbance = noise === 0 ? 0 : noise * rng.normal();
        inputs[query + coordinate] = keys[asked * keyWidth + coordinate] + disturbance;
      }
      positions[sequence * pairs + slot] = pairs + slot;
      targets[sequence * pairs + slot] = classes[asked];
    }
  }
  return { inputs, positions, targets };
}

/** g^(a−1) for g = 1 … space; the factor a cancels in the draw. */
function gapWeights(space: number, powerA: number): Float64Array {
  return Float64Array.from({ length: space }, (_, slot) => (slot + 1) ** (powerA - 1));
}

/**
 * Distinct indices, drawn one after another by weight: the first of independent exponential clocks of those rates to ring,
 * then the second, and so on, which has the same distribution and needs no renormalisation.
 */
function weightedDistinct(count: number, weights: Float64Array, rng: Random): number[] {
  return Array.from(weights, (weight, index) => ({ index, time: -Math.log(1 - rng.uniform()) / weight }))
    .sort((a, b) => a.time - b.time)
    .slice(0, count)
    .map(({ index }) => index);
}

function randomFillers(count: number, vocabulary: number, keys: Int32Array, rng: Random): Int32Array {
  const isKey = new Uint8Array(vocabulary);
  for (const key of keys) isKey[key] = 1;
  return Int32Array.from({ length: count }, () => {
    let token = rng.integer(vocabulary);
    while (isKey[token] === 1) token = rng.integer(vocabulary);
    return token;
  });
}

function checkTokenSettings(settings: Required<Omit<RecallTokenSettings, "fillers">>): void {
  const { vocabulary, length, pairs, batch, powerA } = settings;
  const act = "make recall sequences";
  requireWhole(act, "pairs", pairs, 1);
  requireWhole(act, "length", length, 1);
  requireWhole(act, "vocabulary", vocabulary, 4);
  requireWhole(act, "batch", batch, 1);
  if (4 * pairs > length) {
    throw new DomainError(
      "recall-length",
      `Cannot ${act} as the pairs and their queries need 4 × pairs ≤ length: 4 × ${pairs} > ${length}. ` +
        `Pass length ≥ ${4 * pairs} or pairs ≤ ${Math.floor(length / 4)}`,
    );
  }
  if (Math.floor(vocabulary / 2) - 1 < pairs) {
    throw new DomainError(
      "recall-vocabulary",
      `Cannot ${act} as every pair needs a key of its own and a vocabulary of V has ⌊V/2⌋ − 1: ` +
        `${Math.floor(vocabulary / 2) - 1} keys for ${pairs} pairs. Pass vocabulary ≥ ${2 * pairs + 2}`,
    );
  }
  if (!(powerA > 0 && Number.isFinite(powerA))) {
    throw new DomainError(
      "recall-power",
      `Cannot ${act} as the power law needs a finite powerA > 0: ${powerA}. Pass 1 for uniform gaps, 0.01 as zoology does`,
    );
  }
}

function checkVectorSettings(settings: Required<RecallVectorSettings>, values: ValueTable): void {
  const { pairs, keyWidth, batch, noise } = settings;
  const act = "make recall vectors";
  requireWhole(act, "pairs", pairs, 1);
  requireWhole(act, "keyWidth", keyWidth, 1);
  requireWhole(act, "batch", batch, 1);
  if (values.classes < pairs) {
    throw new DomainError(
      "recall-classes",
      `Cannot ${act} as the values of a sequence are distinct rows of the table: ${values.classes} classes for ${pairs} pairs. ` +
        `Make the value table with at least ${pairs} classes`,
    );
  }
  if (!(noise >= 0 && Number.isFinite(noise))) {
    throw new DomainError(
      "recall-noise",
      `Cannot ${act} as noise must be a finite standard deviation ≥ 0: ${noise}. Pass 0 for exact queries`,
    );
  }
}
