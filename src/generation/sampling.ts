/**
 * @file Choosing the next token from logits, as Hugging Face does and in its order: repetition penalty (Keskar et al. 2019),
 * temperature, top-k (Fan et al. 2018), top-p (Holtzman et al. 2020), min-p (Nguyen et al. 2024), softmax, draw. In f64.
 */
import { DomainError, NumbersError, ShapeError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";

/** How tokens are chosen; what is left out does nothing. */
export interface SamplingOptions {
  /** τ ≥ 0: logits are divided by it. 1 by default; 0 is greedy. */
  readonly temperature?: number;
  /** Keep the k best tokens, and those equal to the last of them; 0 keeps all. */
  readonly topK?: number;
  /** 0 < p ≤ 1: keep the fewest best tokens whose probabilities sum to p. */
  readonly topP?: number;
  /** 0 ≤ p ≤ 1: keep tokens at least p times as probable as the best. */
  readonly minP?: number;
  /** θ > 0: logits of tokens that occurred are divided by it where positive, multiplied where negative. 1 by default. */
  readonly repetitionPenalty?: number;
}

/**
 * The probability with which each token is drawn.
 *
 * @param logits - [V], finite or −∞ (a token that must not come)
 * @param options - a temperature of 0 gives the best token probability 1
 * @param previous - tokens so far, prompt included: those that the repetition penalty is for
 * @returns [V], sums to 1
 * @throws DomainError `bad-sampling` for an option outside its domain
 * @throws NumbersError `logits-not-finite` for NaN, +∞, or when no token is left to choose
 * @throws ShapeError `logits-empty`
 * @example
 * ```ts
 * import { tokenProbabilities } from "qklab/generation";
 * tokenProbabilities(Float32Array.of(0, Math.log(3)), {}); // [0.25, 0.75]
 * tokenProbabilities(Float32Array.of(0, Math.log(3)), { topP: 0.7 }); // [0, 1]
 * ```
 */
export function tokenProbabilities(
  logits: ArrayLike<number>,
  options: SamplingOptions,
  previous: Iterable<number> = [],
): Float64Array {
  requireSampling(options);
  return probabilities(logits, options, previous);
}

/**
 * Makes a chooser of tokens.
 *
 * @param rng - `random(seed, "generate")`; one draw a token, none when greedy
 * @returns chooses from logits [V], given the tokens so far; the lower number wins among equals
 * @throws DomainError `bad-sampling`
 * @example
 * ```ts
 * import { random } from "qklab";
 * import { sampler } from "qklab/generation";
 * const choose = sampler({ temperature: 0 }, random(1, "generate"));
 * choose(Float32Array.of(0.5, 2, 1)); // 1
 * ```
 */
export function sampler(
  options: SamplingOptions,
  rng: Random,
): (logits: ArrayLike<number>, previous?: Iterable<number>) => number {
  requireSampling(options);
  return (logits, previous = []) => {
    if (isGreedy(options)) return bestOf(penalised(logits, options, previous));
    const chances = probabilities(logits, options, previous);
    const mark = rng.uniform();
    let sum = 0;
    let last = 0;
    for (let token = 0; token < chances.length; token++) {
      if (chances[token] === 0) continue;
      sum += chances[token];
      last = token;
      if (mark < sum) break;
    }
    // Rounding may leave the sum a little below 1, and the mark above it.
    return last;
  };
}

/**
 * ln of a token's probability by the model alone, before any option: ℓ_t − ln Σ_j exp ℓ_j.
 *
 * @param logits - [V]
 * @throws NumbersError `logits-not-finite`
 * @example
 * ```ts
 * import { logProbability } from "qklab/generation";
 * logProbability(Float32Array.of(1, 1), 0); // -0.693147
 * ```
 */
export function logProbability(logits: ArrayLike<number>, token: number): number {
  const largest = logits[bestOf(logits)];
  let sum = 0;
  for (let other = 0; other < logits.length; other++) sum += Math.exp(logits[other] - largest);
  return logits[token] - largest - Math.log(sum);
}

const isGreedy = ({ temperature = 1 }: SamplingOptions): boolean => temperature === 0;

function probabilities(
  logits: ArrayLike<number>,
  options: SamplingOptions,
  previous: Iterable<number>,
): Float64Array {
  const scores = penalised(logits, options, previous);
  const best = bestOf(scores);
  if (isGreedy(options)) return new Float64Array(scores.length).fill(1, best, best + 1);
  const { temperature = 1, topK = 0, topP = 1, minP = 0 } = options;
  const largest = scores[best];
  // The largest is subtracted first, so that no temperature makes an infinity of a score that counts.
  for (let token = 0; token < scores.length; token++) scores[token] = (scores[token] - largest) / temperature;
  if (topK > 0 && topK < scores.length) keepBest(scores, topK);
  softmax(scores);
  if (topP < 1) {
    keepMass(scores, topP);
    normalise(scores);
  }
  if (minP > 0) {
    const least = minP * scores[best];
    for (let token = 0; token < scores.length; token++) if (scores[token] < least) scores[token] = 0;
    normalise(scores);
  }
  return scores;
}

/** A copy of the logits, those of tokens that occurred made less likely. */
function penalised(
  logits: ArrayLike<number>,
  { repetitionPenalty = 1 }: SamplingOptions,
  previous: Iterable<number>,
): Float64Array {
  if (logits.length === 0) {
    throw new ShapeError(
      "logits-empty",
      "Cannot choose a token as there must be at least one logit: 0. Pass logits [V]",
    );
  }
  const scores = Float64Array.from(logits);
  if (repetitionPenalty !== 1) {
    for (const token of new Set(previous)) {
      if (token >= scores.length) continue;
      scores[token] =
        scores[token] < 0 ? scores[token] * repetitionPenalty : scores[token] / repetitionPenalty;
    }
  }
  return scores;
}

function bestOf(scores: ArrayLike<number>): number {
  let best = 0;
  for (let token = 0; token < scores.length; token++) {
    const score = scores[token];
    if (Number.isNaN(score) || score === Infinity) throw notFinite(`${score} for token ${token}`);
    if (score > scores[best]) best = token;
  }
  if (scores[best] === -Infinity) throw notFinite("-Infinity for every token");
  return best;
}

function keepBest(scores: Float64Array, count: number): void {
  const least = scores.toSorted()[scores.length - count];
  for (let token = 0; token < scores.length; token++) if (scores[token] < least) scores[token] = -Infinity;
}

/**
 * From the least probable on, tokens go while what has gone sums to ≤ 1 − p; the best stays. Of equals, those with larger numbers
 * go first.
 */
function keepMass(chances: Float64Array, mass: number): void {
  const ascending = chances.toSorted();
  let sum = 0;
  let gone = 0;
  while (gone < ascending.length - 1 && sum + ascending[gone] <= 1 - mass) sum += ascending[gone++];
  const least = ascending[gone];
  let equalsToGo = gone - ascending.indexOf(least);
  for (let token = chances.length - 1; token >= 0; token--) {
    if (chances[token] < least || (chances[token] === least && equalsToGo-- > 0)) chances[token] = 0;
  }
}

/** In place, of scores whose largest is 0. */
function softmax(scores: Float64Array): void {
  for (let token = 0; token < scores.length; token++) scores[token] = Math.exp(scores[token]);
  normalise(scores);
}

function normalise(chances: Float64Array): void {
  let sum = 0;
  for (const chance of chances) sum += chance;
  for (let token = 0; token < chances.length; token++) chances[token] /= sum;
}

const rules: Readonly<
  Record<keyof SamplingOptions, { readonly holds: (value: number) => boolean; readonly rule: string }>
> = {
  temperature: { holds: (value) => value >= 0 && value < Infinity, rule: "0 (greedy) or more" },
  topK: { holds: (value) => Number.isInteger(value) && value >= 0, rule: "a whole number, 0 for all" },
  topP: { holds: (value) => value > 0 && value <= 1, rule: "above 0 and at most 1" },
  minP: { holds: (value) => value >= 0 && value <= 1, rule: "from 0 to 1" },
  repetitionPenalty: { holds: (value) => value > 0 && value < Infinity, rule: "above 0" },
};

function requireSampling(options: SamplingOptions): void {
  for (const [name, { holds, rule }] of Object.entries(rules)) {
    const value = options[name as keyof SamplingOptions];
    if (value === undefined || holds(value)) continue;
    throw new DomainError(
      "bad-sampling",
      `Cannot choose tokens as '${name}' must be ${rule}: ${value}. Pass another, or leave it out`,
    );
  }
}

function notFinite(seen: string): NumbersError {
  return new NumbersError(
    "logits-not-finite",
    `Cannot choose a token as logits must be finite, or -Infinity where a token must not come: ${seen}. ` +
      "Look for the layer whose numbers failed",
  );
}
