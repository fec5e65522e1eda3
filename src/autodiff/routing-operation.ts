/** @file Routing as an operation of a tape: scores of experts to each token's experts, their weights and the balance loss. */
import { numpy as np } from "@jax-js/jax";
import { arrayOf, tensorOf, tensorsOf } from "../kernels/jax/tensors.ts";
import {
  pullRouting,
  type RouterScores,
  routeTokens,
  type Routing,
} from "../kernels/javascript/expert-routing.ts";
import { type RoutingRule } from "../kernels/reference/routing-rule.ts";
import { type Operation } from "./operation.ts";

/** What the backward call needs of the forward call. */
interface RoutingState {
  readonly scores: RouterScores;
  readonly routing: Routing;
}

/**
 * Inputs `scores` [1, 1, M, E], as the router's attention returns them; outputs `gates` [M, k], `balance` (a scalar to add
 * to the loss), and the int32 places `chosen` and `places` [M, k] that experts read. Without a backward call no token is dropped, so
 * that what a model says of a token does not depend on the tokens beside it.
 *
 * @param rule - how tokens are routed when the tape goes backward
 */
export function routingOperation(
  rule: RoutingRule,
): Operation<"scores", "gates" | "balance" | "chosen" | "places", RoutingState> {
  const { capacityFactor: _, ...unlimited } = rule;
  return {
    name: rule.name,
    async forward({ scores }, wanted) {
      const isTraining = wanted.size > 0;
      const { data, shape } = await tensorOf(scores.ref);
      const known = { data, experts: shape[3] };
      const routing = routeTokens(known, isTraining ? rule : { ...unlimited, balance: 0 });
      const pairs = [shape[2], routing.choices];
      const outputs = {
        gates: arrayOf({ data: routing.gates, shape: pairs }),
        balance: np.array(routing.balance),
        chosen: np.array(routing.chosen, { shape: pairs }),
        places: np.array(routing.places, { shape: pairs }),
      };
      return isTraining ? { outputs, state: { scores: known, routing } } : { outputs };
    },
    async backward({ scores }, _saved, { gates, balance }, _wanted, state) {
      const given = await tensorsOf({
        ...(gates === undefined ? {} : { gates: gates.ref }),
        ...(balance === undefined ? {} : { balance: balance.ref }),
      });
      const { gates: byGates, balance: byBalance } = given as Partial<typeof given>;
      const data = pullRouting(state!.scores, rule, state!.routing, {
        ...(byGates === undefined ? {} : { gates: byGates.data }),
        ...(byBalance === undefined ? {} : { balance: byBalance.data[0] }),
      });
      return { scores: arrayOf({ data, shape: scores.shape }) };
    },
    dispose() {
      // Nothing was compiled.
    },
  };
}
