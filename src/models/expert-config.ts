/** @file The experts of a decoder's feed-forward: how many, how they are routed to, and by which similarity. */
import * as v from "valibot";
import { type AnyPartFactory, parseSelector } from "../attention/index.ts";
import { DomainError } from "../base/errors.ts";
import {
  requireExperts,
  type RoutingName,
  routingNames,
  type RoutingRule,
  routings,
} from "../kernels/wasm/index.ts";
import { type Similarity } from "../similarities/index.ts";

/** What somebody writes; members left out take the default of the routing. */
export interface ExpertConfig {
  /** E, experts of a layer. */
  readonly count: number;
  /** Default `mixtral`. */
  readonly routing?: RoutingName;
  /** The similarity of tokens and expert keys, as a selector (default `dot:scale=auto`). */
  readonly router?: string;
  /** k, experts of a token (default 1 for `switch`, 2 for `mixtral`). */
  readonly choices?: number;
  /** Default 1.25 for `switch`, `none` for `mixtral`. */
  readonly capacityFactor?: number | "none";
  /** The weight of the balance loss (default 0.01). */
  readonly balance?: number;
}

/** Experts with every default filled in. */
export interface ResolvedExperts {
  readonly count: number;
  readonly rule: RoutingRule;
  readonly similarity: Similarity;
}

const whole = v.pipe(
  v.number(),
  v.integer("a whole number is needed"),
  v.minValue(1, "a number ≥ 1 is needed"),
);

/** A configuration that was read. */
interface ReadExperts {
  readonly count: number;
  readonly routing: RoutingName;
  readonly router: string;
  readonly choices?: number | undefined;
  readonly capacityFactor?: number | "none" | undefined;
  readonly balance?: number | undefined;
}

/** The schema of {@link ExpertConfig}; ranges of numbers are the rule's to check. */
export const expertSchema: v.GenericSchema<unknown, ReadExperts> = v.strictObject({
  count: whole,
  routing: v.optional(v.picklist(routingNames, `${routingNames.join(" or ")} is needed`), "mixtral"),
  router: v.optional(
    v.pipe(v.string(), v.minLength(1, "a similarity is needed, such as l2")),
    "dot:scale=auto",
  ),
  choices: v.optional(v.number()),
  capacityFactor: v.optional(v.union([v.number(), v.literal("none")], "a number or none is needed")),
  balance: v.optional(v.number()),
});

/**
 * Reads the experts of a decoder.
 *
 * @param width - of the residual stream, which is that of expert keys
 * @param similarities - the caller's own
 * @throws DomainError `routing-…` for a rule that cannot be, `router-selector` for a router with parts that it has no place for
 */
export function resolveExperts(
  { count, routing, router, choices, capacityFactor, balance }: ReadExperts,
  width: number,
  similarities: readonly AnyPartFactory[],
): ResolvedExperts {
  const rule = routings[routing].make({
    ...(choices === undefined ? {} : { choices }),
    ...(capacityFactor === undefined ? {} : { capacityFactor }),
    ...(balance === undefined ? {} : { balance }),
  });
  requireExperts(rule, count);
  const { similarity, patterns, ...others } = parseSelector(router, similarities);
  const further = [...patterns, ...Object.values(others)][0];
  if (further !== undefined) {
    throw new DomainError(
      "router-selector",
      `Cannot route by '${router}' as a router has a similarity alone: '${further.name}' is a ${further.kind}. Leave it out`,
    );
  }
  similarity.terms(width);
  return { count, rule, similarity };
}
