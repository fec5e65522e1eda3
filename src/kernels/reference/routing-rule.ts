/**
 * @file How a router sends tokens to experts: how many of them a token gets, what weighs them, how many tokens an expert
 * takes, and what uneven loads cost.
 */
import { compose, type Composition } from "../../attention/index.ts";
import { DomainError } from "../../base/errors.ts";
import { none } from "../../normalisers/index.ts";
import { full } from "../../patterns/index.ts";
import { type Similarity } from "../../similarities/index.ts";

/** A rule of routing; {@link switchRouting} and {@link mixtralRouting} make the two that have names. */
export interface RoutingRule {
  readonly name: string;
  /** k, experts of a token: those with the largest scores, ties to the lower index. */
  readonly choices: number;
  /** Over which scores the softmax of the weights goes: those of `all` experts, or of the `chosen` ones alone. */
  readonly weighing: "all" | "chosen";
  /**
   * An expert takes the first ⌈factor·M·k/E⌉ tokens that choose it, in the order of tokens, and drops the others; all of
   * them when absent.
   */
  readonly capacityFactor?: number;
  /** α of the loss α·E·Σ_e f_e·p_e: f_e is the expert's share of all choices, p_e its mean probability. */
  readonly balance: number;
}

/** What a rule may be told. */
export interface RoutingOptions {
  readonly choices?: number;
  /** `none`: no token is dropped. */
  readonly capacityFactor?: number | "none";
  readonly balance?: number;
}

/**
 * The Switch Transformer's routing: one expert a token, weighed by its probability among all experts, capacity factor
 * 1.25, balance loss 0.01·E·Σ f_e·p_e (Fedus, Zoph & Shazeer 2022, sections 2.1 and 2.2).
 *
 * @throws DomainError `routing-choices`, `routing-capacity` or `routing-balance`
 * @example
 * ```ts
 * import { switchRouting } from "qklab/models";
 * switchRouting({ capacityFactor: 2 }).choices; // 1
 * ```
 */
export function switchRouting(options: RoutingOptions = {}): RoutingRule {
  return makeRule("switch", "all", { choices: 1, capacityFactor: 1.25, balance: 0.01, ...options });
}

/**
 * Mixtral's routing: two experts a token, weighed by the softmax of their two scores; nothing is dropped (Jiang et al. 2024,
 * section 2.1). The balance loss is that of {@link switchRouting}, so that the two can be compared.
 *
 * @throws DomainError `routing-choices`, `routing-capacity` or `routing-balance`
 * @example
 * ```ts
 * import { mixtralRouting } from "qklab/models";
 * mixtralRouting().choices; // 2
 * ```
 */
export function mixtralRouting(options: RoutingOptions = {}): RoutingRule {
  return makeRule("mixtral", "chosen", { choices: 2, capacityFactor: "none", balance: 0.01, ...options });
}

/** A rule of routing as documents and selections know it. */
export interface RoutingDefinition {
  readonly make: (options?: RoutingOptions) => RoutingRule;
  /** The weights g of a token's experts, from its scores s. */
  readonly formula: string;
  readonly source: string;
}

export type RoutingName = "switch" | "mixtral";

/** The rules that have names. */
export const routings: Readonly<Record<RoutingName, RoutingDefinition>> = {
  switch: {
    make: switchRouting,
    formula: "g_j = p_j of the k largest p, p = softmax(s_1 … s_E)",
    source: "Fedus, Zoph & Shazeer 2022, sections 2.1 and 2.2",
  },
  mixtral: {
    make: mixtralRouting,
    formula: "g = softmax of the k largest s",
    source: "Jiang et al. 2024, section 2.1",
  },
};
export const routingNames = Object.keys(routings) as readonly RoutingName[];

function makeRule(
  name: string,
  weighing: RoutingRule["weighing"],
  { choices, capacityFactor, balance }: Required<RoutingOptions>,
): RoutingRule {
  if (!Number.isSafeInteger(choices) || choices < 1) {
    throw new DomainError(
      "routing-choices",
      `Cannot route by '${name}' as a token gets a whole number of experts ≥ 1: ${choices}. Pass choices: 1 or more`,
    );
  }
  if (capacityFactor !== "none" && !(Number.isFinite(capacityFactor) && capacityFactor > 0)) {
    throw new DomainError(
      "routing-capacity",
      `Cannot route by '${name}' as the capacity factor must be a number above zero: ${capacityFactor}. ` +
        "Pass one such as 1.25, or none to drop nothing",
    );
  }
  if (!(Number.isFinite(balance) && balance >= 0)) {
    throw new DomainError(
      "routing-balance",
      `Cannot route by '${name}' as the weight of the balance loss must be a number ≥ 0: ${balance}. Pass 0 to leave it out`,
    );
  }
  return { name, choices, weighing, balance, ...(capacityFactor === "none" ? {} : { capacityFactor }) };
}

/**
 * Refuses a rule that wants more experts than there are.
 *
 * @throws DomainError `routing-choices`
 */
export function requireExperts({ name, choices }: RoutingRule, experts: number): void {
  if (choices <= experts) return;
  throw new DomainError(
    "routing-choices",
    `Cannot route by '${name}' as a token's experts must differ: ${choices} choices among ${experts} experts. ` +
      "Use more experts, or fewer choices",
  );
}

/** How many tokens an expert takes; Infinity where nothing is dropped. */
export function capacityOf(
  { capacityFactor, choices }: RoutingRule,
  tokens: number,
  experts: number,
): number {
  return capacityFactor === undefined ? Infinity : Math.ceil((capacityFactor * tokens * choices) / experts);
}

/**
 * The router: an attention of tokens over expert keys whose output, with the identity as values, is the scores themselves.
 * Routing turns them into choices and weights.
 *
 * @param similarity - of tokens and expert keys, any of the algebra
 * @example
 * ```ts
 * import { l2, printSelector } from "qklab";
 * import { routerComposition } from "qklab/wasm";
 * printSelector(routerComposition(l2())); // "l2+full+none"
 * ```
 */
export function routerComposition(similarity: Similarity): Composition {
  return compose({ similarity, pattern: full(), normaliser: none() });
}
