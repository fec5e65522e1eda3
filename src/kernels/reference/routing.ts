/** @file Routing in f64, token by token: scores to choices, weights, places in experts and the balance loss, and the way back. */
import { capacityOf, requireExperts, type RoutingRule } from "./routing-rule.ts";

/** Matrices as rows. */
type Matrix = readonly (readonly number[])[];

/** Where tokens go. */
export interface ReferenceRouting {
  /** The experts of every token, best first, [M, k] */
  readonly chosen: Matrix;
  /** The weights of its experts, [M, k] */
  readonly gates: Matrix;
  /** Whether the expert takes the token, [M, k] */
  readonly isKept: readonly (readonly boolean[])[];
  /** f_e, shares of all choices, dropped ones among them, [E] */
  readonly load: readonly number[];
  /** α·E·Σ_e f_e·p_e */
  readonly balance: number;
  /** Choices that no expert took. */
  readonly dropped: number;
}

/** The softmax of scores. */
function softmaxOf(scores: readonly number[]): number[] {
  const largest = Math.max(...scores);
  const masses = scores.map((score) => Math.exp(score - largest));
  const sum = masses.reduce((a, b) => a + b, 0);
  return masses.map((mass) => mass / sum);
}

/**
 * Routes tokens by their scores.
 *
 * @param scores - [M, E]
 */
export function referenceRouting(scores: Matrix, rule: RoutingRule): ReferenceRouting {
  const [tokens, experts] = [scores.length, scores[0].length];
  requireExperts(rule, experts);
  const chosen = scores.map((row) =>
    [...row.keys()].sort((a, b) => row[b] - row[a] || a - b).slice(0, rule.choices),
  );
  const probabilities = scores.map(softmaxOf);
  const gates = chosen.map((own, token) =>
    rule.weighing === "all"
      ? own.map((expert) => probabilities[token][expert])
      : softmaxOf(own.map((expert) => scores[token][expert])),
  );
  const capacity = capacityOf(rule, tokens, experts);
  const wanted = Array.from({ length: experts }, () => 0);
  const isKept = chosen.map((own) => own.map((expert) => wanted[expert]++ < capacity));
  const load = wanted.map((count) => count / (tokens * rule.choices));
  const mean = load.map((_, expert) => probabilities.reduce((sum, row) => sum + row[expert], 0) / tokens);
  return {
    chosen,
    gates,
    isKept,
    load,
    balance: rule.balance * experts * load.reduce((sum, share, expert) => sum + share * mean[expert], 0),
    dropped: isKept.flat().filter((kept) => !kept).length,
  };
}

/**
 * Gradients by the scores: through the weights and through the probabilities of the balance loss. Choices and loads are
 * counts and have none.
 *
 * @param byGates - the gradients of the weights, [M, k]
 * @param byBalance - that of the balance loss
 */
export function referenceRoutingBackward(
  scores: Matrix,
  rule: RoutingRule,
  byGates: Matrix,
  byBalance: number,
): number[][] {
  const { chosen, gates, load } = referenceRouting(scores, rule);
  const pull = (weights: readonly number[], gradients: readonly number[]): number[] => {
    const mean = weights.reduce((sum, weight, place) => sum + weight * gradients[place], 0);
    return weights.map((weight, place) => weight * (gradients[place] - mean));
  };
  return scores.map((row, token) => {
    const byProbability = load.map(
      (share) => (byBalance * rule.balance * load.length * share) / scores.length,
    );
    if (rule.weighing === "all") {
      chosen[token].forEach((expert, place) => (byProbability[expert] += byGates[token][place]));
    }
    const gradient = pull(softmaxOf(row), byProbability);
    if (rule.weighing === "chosen") {
      const own = pull(gates[token], byGates[token]);
      chosen[token].forEach((expert, place) => (gradient[expert] += own[place]));
    }
    return gradient;
  });
}
