/**
 * @file The layers of a decoder as fused blocks of an engine: project, attend, merge, feed forward. What the blocks hand on
 * stays out of jax-js, which has only what places add to embeddings, the domains of attentions' own parameters, the gates of
 * recurrences, and the norm before experts.
 */
import {
  embeddingOperation,
  fusedFeedForwardOperation,
  fusedLossOperation,
  fusedMergeOperation,
  fusedProjectionOperation,
  type Operation,
  stage,
  type Tape,
  type Value,
} from "../autodiff/index.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { pick, type Values } from "./assemble-model.ts";
import { type EmbeddingBlock, type HeadBlock } from "./decoder-blocks.ts";
import {
  type ComputedLayers,
  type ComputedLoss,
  type DecoderLayer,
  namesOf,
  rowsOf,
} from "./decoder-layers.ts";
import { type ModelArrays } from "./model.ts";
import { type LayerObserver } from "./observe-scores.ts";

/** Makes the operations. */
export function fusedLayers(
  embedding: EmbeddingBlock,
  layers: readonly DecoderLayer[],
  engine: WasmEngine,
): ComputedLayers {
  const takeTokens = embeddingOperation();
  const { place } = embedding;
  const addPlaces: Operation<string, string> | undefined =
    place && stage("places", ({ x, ...arrays }: ModelArrays) => ({ x: place(x, arrays) }));
  const placeNames = namesOf(embedding).filter((name) => name !== embedding.table);
  const fused = layers.map((layer) => fusedLayer(layer, engine));
  return {
    async run(tape, { tokens, ...places }, values, observe) {
      const { rows } = await tape.run(takeTokens, { ids: tokens, table: values[embedding.table] });
      let x = rows;
      if (addPlaces !== undefined) {
        ({ x } = await tape.run(addPlaces, { x: rows, ...places, ...pick(values, placeNames) }));
        tape.release(rows, ...Object.values(places));
      }
      tape.release(tokens);
      const balances: Value[] = [];
      for (const layer of fused) {
        const made = await layer.run(tape, x, values, observe);
        ({ x } = made);
        if (made.balance !== undefined) balances.push(made.balance);
      }
      return { inputs: { x }, balances };
    },
    reads: [],
    rows: ({ x }) => rowsOf(x),
    dispose: () => [addPlaces, ...fused].forEach((own) => own?.dispose()),
  };
}

/** One layer on the tape, from x to x. */
interface FusedLayer {
  run(
    tape: Tape,
    x: Value,
    values: Values,
    observe: LayerObserver | undefined,
  ): Promise<{ readonly x: Value; readonly balance?: Value }>;
  dispose(): void;
}

function fusedLayer({ attention, norm, feedForward, routed }: DecoderLayer, engine: WasmEngine): FusedLayer {
  const project = fusedProjectionOperation(engine, attention.groups);
  const merge = fusedMergeOperation(engine, attention.groups);
  const feed = fusedFeedForwardOperation(engine);
  const hold: Operation<string, string> | undefined =
    attention.held.length === 0
      ? undefined
      : stage("attention parameters", (arrays: ModelArrays) => attention.parameterValues(arrays));
  const gate: Operation<string, string> | undefined =
    attention.gated.length === 0
      ? undefined
      : stage("gates", ({ x, ...arrays }: ModelArrays) => {
          const [batch] = x.shape;
          return attention.gates(norm.apply(rowsOf(x), arrays), batch, arrays);
        });
  const gateNames = [...namesOf(norm), ...attention.gated];
  const { o, ...into } = attention.weights;
  return {
    async run(tape, x, values, observe) {
      const { x: passed, ...heads } = await tape.run(project, {
        x,
        ...byRole(values, { ...norm.weights, ...into }),
      });
      tape.release(x);
      const projected = {
        ...heads,
        ...(hold === undefined ? {} : await tape.run(hold, pick(values, attention.held))),
        ...(gate === undefined ? {} : await tape.run(gate, { x: passed, ...pick(values, gateNames) })),
      };
      const attended = await attention.attend(tape, projected, observe);
      const { out: merged } = await tape.run(merge, { x: passed, ...attended, weight: values[o] });
      tape.release(passed, ...Object.values(attended));
      if (routed !== undefined) return routed.run(tape, merged, values, observe);
      if (feedForward === undefined) return { x: merged };
      const { out } = await tape.run(feed, { x: merged, ...byRole(values, feedForward.weights) });
      tape.release(merged);
      return { x: out };
    },
    dispose: () => [hold, gate].forEach((owned) => owned?.dispose()),
  };
}

/** The last norm, the head and the loss as one block. */
export function fusedLoss({ weights }: HeadBlock, engine: WasmEngine): ComputedLoss {
  const operation = fusedLossOperation(engine);
  return {
    async run(tape, { x, targets, positions, ...values }) {
      const labels = positions === undefined ? { targets } : { targets, positions };
      return (await tape.run(operation, { x, ...labels, ...byRole(values, weights) })).loss;
    },
    dispose: () => operation.dispose(),
  };
}

/** Values under the roles that they have in a block. */
function byRole(values: Values, names: Readonly<Record<string, string>>): Values {
  return Object.fromEntries(Object.entries(names).map(([role, name]) => [role, values[name]]));
}
