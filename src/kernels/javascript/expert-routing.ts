/** @file Routing on flat arrays: scores to choices, weights and places in experts, and the way back. */
import { NumbersError } from "../../base/errors.ts";
import { capacityOf, requireExperts, type RoutingRule } from "../reference/routing-rule.ts";

/** Which experts tokens go to, and where in them. */
export interface ExpertPlaces {
  /** E */
  readonly experts: number;
  /** k */
  readonly choices: number;
  /** The experts of every token, best first, [M, k] */
  readonly chosen: Int32Array;
  /** The token's place among those that its expert takes, from 0; −1 where it is dropped, [M, k] */
  readonly places: Int32Array;
}

/** A routing of tokens. */
export interface Routing extends ExpertPlaces {
  /** The weights of a token's experts, [M, k] */
  readonly gates: Float32Array;
  /** The softmax of each token's scores over all experts, [M, E]; absent where neither weights nor a loss need it. */
  readonly probabilities: Float32Array | undefined;
  /** f_e, shares of all choices, dropped ones among them, [E] */
  readonly load: Float64Array;
  /** α·E·Σ_e f_e·p_e */
  readonly balance: number;
  /** Choices that no expert took. */
  readonly dropped: number;
}

/** Scores of M tokens for E experts, row by row. */
export interface RouterScores {
  /** [M, E] */
  readonly data: Float32Array;
  readonly experts: number;
}

/**
 * Routes tokens by their scores: softmax, the k best of every row, and places in the order of tokens until an expert is full.
 *
 * @param scores - of M tokens for E experts, as `routerComposition` gives them
 * @param rule - `switchRouting()`, `mixtralRouting()` or one made with their options
 * @throws NumbersError `diverged` for scores that are not numbers, DomainError `routing-choices` for too few experts
 * @example
 * ```ts
 * import { routeTokens, switchRouting } from "qklab/wasm";
 * const data = Float32Array.of(2, 1, 2, 1); // two tokens that both want expert 0, which takes one
 * const { chosen, places, dropped } = routeTokens({ data, experts: 2 }, switchRouting({ capacityFactor: 1 }));
 * [...chosen]; // [0, 0]
 * [...places]; // [0, -1]
 * dropped; // 1
 * ```
 */
export function routeTokens(scores: RouterScores, rule: RoutingRule): Routing {
  const { data, experts } = scores;
  requireExperts(rule, experts);
  const { choices, weighing } = rule;
  const tokens = data.length / experts;
  const capacity = capacityOf(rule, tokens, experts);
  const chosen = new Int32Array(tokens * choices);
  const places = new Int32Array(tokens * choices);
  const gates = new Float32Array(tokens * choices);
  const counts = new Int32Array(experts);
  const sums = new Float64Array(experts);
  const probabilities = weighing === "all" || rule.balance > 0 ? new Float32Array(data.length) : undefined;
  let dropped = 0;
  for (let token = 0; token < tokens; token++) {
    const [row, first] = [token * experts, token * choices];
    chooseBest(data, row, experts, chosen, first, choices);
    const largest = data[row + chosen[first]];
    if (!Number.isFinite(largest)) throw notFinite(largest);
    if (probabilities !== undefined) softmaxInto(probabilities, sums, data, row, largest);
    let chosenMass = 0;
    for (let at = first; at < first + choices; at++) {
      chosenMass += Math.exp(data[row + chosen[at]] - largest);
    }
    for (let at = first; at < first + choices; at++) {
      const expert = chosen[at];
      gates[at] =
        weighing === "all"
          ? probabilities![row + expert]
          : Math.exp(data[row + expert] - largest) / chosenMass;
      const place = counts[expert]++;
      places[at] = place < capacity ? place : -1;
      if (place >= capacity) dropped += 1;
    }
  }
  const load = Float64Array.from(counts, (count) => count / (tokens * choices));
  const uneven = load.reduce((sum, share, expert) => sum + (share * sums[expert]) / tokens, 0);
  const balance = rule.balance * experts * uneven;
  return { experts, choices, chosen, places, gates, probabilities, load, balance, dropped };
}

/** The places of the largest numbers of a row, largest first, ties to the lower place. */
function chooseBest(
  data: Float32Array,
  row: number,
  experts: number,
  chosen: Int32Array,
  first: number,
  choices: number,
): void {
  for (let rank = 0; rank < choices; rank++) {
    let best = -1;
    for (let expert = 0; expert < experts; expert++) {
      if (best >= 0 && !(data[row + expert] > data[row + best])) continue;
      let isTaken = false;
      for (let before = first; before < first + rank; before++) isTaken ||= chosen[before] === expert;
      if (!isTaken) best = expert;
    }
    chosen[first + rank] = best;
  }
}

/** The softmax of one row of scores, which is added to the sums of all rows. */
function softmaxInto(
  probabilities: Float32Array,
  sums: Float64Array,
  data: Float32Array,
  row: number,
  largest: number,
): void {
  const experts = sums.length;
  let mass = 0;
  for (let expert = 0; expert < experts; expert++) {
    const own = Math.exp(data[row + expert] - largest);
    probabilities[row + expert] = own;
    mass += own;
  }
  if (!Number.isFinite(mass)) throw notFinite(mass);
  const scale = 1 / mass;
  for (let expert = 0; expert < experts; expert++) {
    const own = probabilities[row + expert] * scale;
    probabilities[row + expert] = own;
    sums[expert] += own;
  }
}

/** Gradients of what routing gives, [M, k] and one number; absent ones are zero. */
export interface RoutingGradients {
  readonly gates?: Float32Array;
  readonly balance?: number;
}

/**
 * Gradients by the scores, [M, E]: through the weights and through the probabilities of the balance loss.
 *
 * @param routing - what {@link routeTokens} returned for these scores
 */
export function pullRouting(
  { data, experts }: RouterScores,
  rule: RoutingRule,
  { chosen, gates, probabilities, load, choices }: Routing,
  { gates: byGates, balance: byBalance = 0 }: RoutingGradients,
): Float32Array {
  const tokens = data.length / experts;
  const out = new Float32Array(data.length);
  const byProbability = new Float64Array(experts);
  const cost = (byBalance * rule.balance * experts) / tokens;
  const [ofAll, ofChosen] = rule.weighing === "all" ? [byGates, undefined] : [undefined, byGates];
  for (let token = 0; token < tokens; token++) {
    const [row, first] = [token * experts, token * choices];
    if (probabilities !== undefined && (ofAll !== undefined || cost !== 0)) {
      for (let expert = 0; expert < experts; expert++) byProbability[expert] = cost * load[expert];
      if (ofAll !== undefined) {
        for (let at = first; at < first + choices; at++) byProbability[chosen[at]] += ofAll[at];
      }
      let mean = 0;
      for (let expert = 0; expert < experts; expert++) {
        mean += probabilities[row + expert] * byProbability[expert];
      }
      for (let expert = 0; expert < experts; expert++) {
        out[row + expert] = probabilities[row + expert] * (byProbability[expert] - mean);
      }
    }
    if (ofChosen === undefined) continue;
    let mean = 0;
    for (let at = first; at < first + choices; at++) mean += gates[at] * ofChosen[at];
    for (let at = first; at < first + choices; at++) {
      out[row + chosen[at]] += gates[at] * (ofChosen[at] - mean);
    }
  }
  return out;
}

function notFinite(score: number): NumbersError {
  return new NumbersError(
    "diverged",
    `Cannot route as the scores of experts must be finite: ${score}. Use a smaller learning rate`,
  );
}

/** Where the rows of experts lie when they are sorted by expert, each expert's rows from a multiple of `multiple` on. */
export interface SortedRows {
  /** How many rows there are with what fills the multiples up. */
  readonly count: number;
  /** The first row of every expert, [E] */
  readonly starts: Int32Array;
  /** The tokens that every expert takes, [E] */
  readonly taken: Int32Array;
  /** The row of every choice; −1 where it is dropped, [M, k] */
  readonly rows: Int32Array;
}

/** Sorts choices by their expert, tokens in their order. */
export function sortByExpert({ experts, chosen, places }: ExpertPlaces, multiple: number): SortedRows {
  const taken = new Int32Array(experts);
  for (let at = 0; at < chosen.length; at++) if (places[at] >= 0) taken[chosen[at]] += 1;
  const starts = new Int32Array(experts);
  let count = 0;
  for (let expert = 0; expert < experts; expert++) {
    starts[expert] = count;
    count += Math.ceil(taken[expert] / multiple) * multiple;
  }
  const rows = Int32Array.from(chosen, (expert, at) => (places[at] < 0 ? -1 : starts[expert] + places[at]));
  return { count, starts, taken, rows };
}
