/**
 * @file A mixture-of-experts feed-forward on the tape, given the scores of a router: routing, then the chosen experts alone,
 * fused on an engine or in jax-js. There, rows lie in blocks of one expert each, and a block reads its expert's weights:
 * never every expert for every token.
 */
import { numpy as np } from "@jax-js/jax";
import {
  fusedExpertsOperation,
  groupRowsOperation,
  joinRowsOperation,
  type Operation,
  routingOperation,
  stage,
  type Tape,
  type Value,
} from "../autodiff/index.ts";
import { type RoutingRule, type WasmEngine } from "../kernels/wasm/index.ts";
import { takeRows } from "./embedding.ts";
import { gated, gelu } from "./feed-forward.ts";

/** What makes a mixture. */
export interface MixtureOptions {
  readonly rule: RoutingRule;
  /** E */
  readonly experts: number;
  /** Computes the experts; jax-js when absent. */
  readonly engine: WasmEngine | undefined;
}

/** Values that a mixture reads; `gate` is what makes its experts SwiGLU. */
export interface MixtureValues {
  /** [M, width] */
  readonly x: Value;
  /** [1, 1, M, E] */
  readonly scores: Value;
  /** [E, hidden, width] */
  readonly gate?: Value;
  /** [E, hidden, width] */
  readonly up: Value;
  /** [E, width, hidden] */
  readonly down: Value;
}

/** A mixture of experts. */
export interface Mixture {
  /** `out` [M, width], and `balance`, a scalar to add to the loss; what it made in between is released. */
  run(tape: Tape, values: MixtureValues): Promise<{ readonly out: Value; readonly balance: Value }>;
  dispose(): void;
}

/** Makes a mixture. */
export function mixtureOfExperts({ rule, experts, engine }: MixtureOptions): Mixture {
  const route = routingOperation(rule);
  const feed = engine === undefined ? groupedExperts(experts) : fusedExperts(engine);
  return {
    async run(tape, { scores, ...values }) {
      const { balance, ...routing } = await tape.run(route, { scores });
      const out = await feed.run(tape, { ...values, ...routing });
      tape.release(...Object.values(routing));
      return { out, balance };
    },
    dispose: () => feed.dispose(),
  };
}

/** Experts of routed tokens on the tape. */
interface RoutedExperts {
  run(tape: Tape, values: Readonly<Record<string, Value>>): Promise<Value>;
  dispose(): void;
}

function fusedExperts(engine: WasmEngine): RoutedExperts {
  const operation = fusedExpertsOperation(engine);
  return {
    run: async (tape, values) => (await tape.run(operation, values)).out,
    dispose: () => operation.dispose(),
  };
}

function groupedExperts(experts: number): RoutedExperts {
  const group = groupRowsOperation(experts);
  const join = joinRowsOperation(experts);
  const feed: Operation<string, "rows"> = stage("experts", ({ grouped, owners, gate, up, down }) => {
    const own = (weight: np.Array, isLast = false): np.Array =>
      weightsOfBlocks(weight, isLast ? owners : owners.ref);
    const raised = linearOfBlocks(grouped.ref, own(up));
    const hidden = gate === undefined ? gelu(raised) : gated(linearOfBlocks(grouped.ref, own(gate)), raised);
    grouped.dispose();
    return { rows: linearOfBlocks(hidden, own(down, true)) };
  });
  return {
    async run(tape, { x, gates, chosen, places, ...weights }) {
      const { grouped, owners } = await tape.run(group, { x, chosen, places });
      const { rows } = await tape.run(feed, { grouped, owners, ...weights });
      const { out } = await tape.run(join, { rows, gates, chosen, places });
      tape.release(grouped, owners, rows);
      return out;
    },
    dispose: () => feed.dispose(),
  };
}

/** The weights of every block's expert, [blocks, out, in], from those of all experts; both are consumed. */
function weightsOfBlocks(weight: np.Array, owners: np.Array): np.Array {
  const [experts, out, inner] = weight.shape;
  return takeRows(weight.reshape([experts, out * inner]), owners).reshape([owners.shape[0], out, inner]);
}

/** Rows [blocks, rows, in] times weights [blocks, out, in]; both are consumed. */
function linearOfBlocks(x: np.Array, weight: np.Array): np.Array {
  return np.matmul(x, weight.transpose([0, 2, 1]));
}
