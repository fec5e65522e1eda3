/**
 * @file One forward and one backward pass of a mixer alone, an attention or a recurrence, on the inputs of a length: what `scaling`
 * takes the time of.
 */
import {
  type AttentionInputs,
  compose,
  completeSelector,
  parametersOf,
  resolveParameters,
  type SelectedParts,
} from "../../attention/index.ts";
import { initialValues } from "../../attention/parameters.ts";
import { recurrenceOperation } from "../../autodiff/recurrence-operation.ts";
import { DomainError } from "../../base/errors.ts";
import { random } from "../../base/random.ts";
import { narrow, sizeOf, type Tensor } from "../../base/tensor.ts";
import { jaxBackend } from "../../kernels/jax/index.ts";
import { wasmBackend, type WasmEngine } from "../../kernels/wasm/index.ts";
import { parseMixer, positionOf } from "../../models/index.ts";
import { causal } from "../../patterns/index.ts";
import { type RecurrenceComposition, type RuleInput } from "../../recurrence/index.ts";
import { type ScalingCase } from "../../tasks/index.ts";

/** A mixer whose passes can be timed. */
export interface MeasuredMixer {
  /** How many parameters it names. */
  readonly parameters: number;
  /**
   * Everything but the pass is made now.
   *
   * @param seed - of what a recurrence reads beside queries, keys and values
   */
  prepare(inputs: ScalingCase, seed: number): () => Promise<void>;
}

/**
 * The mixer of a selector, causal where it names no pattern.
 *
 * @param engine - computes it; without one jax-js does, or the f64 reference of a recurrence
 * @throws DomainError and UnsupportedError for selectors that cannot be read; DomainError `scaling-position` for positions that are
 *   the model's; UnsupportedError `recurrence-engine` for chunks that an engine does not have
 */
export function measuredMixer(selector: string, engine: WasmEngine | undefined): MeasuredMixer {
  const mixer = parseMixer(selector);
  if (positionOf(mixer)?.place === "embedding") {
    throw new DomainError(
      "scaling-position",
      `Cannot measure '${selector}' as its position is added to embeddings, which a mixer alone never sees: ` +
        `'${positionOf(mixer)?.name}'. Leave it out, or use rope, alibi or log-cpb`,
    );
  }
  return mixer.kind === "recurrence"
    ? recurrentMixer(mixer.recurrence, engine)
    : attentionMixer(mixer.parts, engine);
}

function attentionMixer(parts: SelectedParts, engine: WasmEngine | undefined): MeasuredMixer {
  const composition = compose(completeSelector(parts, { patterns: [causal()] }));
  const backend = engine === undefined ? jaxBackend : wasmBackend(engine);
  return {
    parameters: parametersOf(composition).length,
    prepare({ q, k, v }) {
      const [, heads, , width] = q.shape;
      const parameters = Object.fromEntries(
        Object.entries(resolveParameters(composition, { heads, width })).map(([name, value]) => [
          name,
          narrow(value),
        ]),
      );
      const inputs: AttentionInputs<Tensor> = { q, k, v, parameters };
      return async () => {
        const result = await backend.forward(composition, inputs, []);
        await backend.backward(composition, inputs, result, result.out);
      };
    },
  };
}

/** As a model computes it in a step of training. */
function recurrentMixer(composition: RecurrenceComposition, engine: WasmEngine | undefined): MeasuredMixer {
  const { rule } = composition;
  // What computes a recurrence on an engine, or by the reference, does so on plain numbers.
  const { tensors: pass } = recurrenceOperation(composition, { engine });
  return {
    parameters: rule.parameters.length,
    prepare({ q, k, v, length }, seed) {
      const [batch, heads, , width] = q.shape;
      const valueWidth = v.shape[3];
      const sizes = { batch, heads, keyHeads: heads, queries: length, tokens: length, width, valueWidth };
      const given: Readonly<Record<string, Tensor>> = { q, k, v };
      const inputs: Record<string, Tensor> = {};
      for (const { name, need, shape, domain } of rule.inputs) {
        // Decays come as logarithms, as in models, and a state begins empty.
        if (need === "optional" || name === "decay") continue;
        const extents = shape(sizes);
        const stream = random(seed, "scaling", length, name);
        const draw = draws[domain];
        inputs[name] = given[name] ?? {
          data: Float32Array.from({ length: sizeOf(extents) }, () => draw(stream.uniform())),
          shape: extents,
        };
      }
      for (const [name, value] of Object.entries(initialValues(rule.parameters, sizes, seed))) {
        inputs[name] = narrow(value);
      }
      const wanted = new Set(Object.keys(inputs));
      return async () => {
        const { outputs, state } = pass!.forward(inputs, wanted);
        pass!.backward(inputs, { out: outputs["out"] }, wanted, state);
      };
    },
  };
}

/** From a uniform number to an input of a domain; a tenth of a state at most is forgotten with each token. */
const draws: Readonly<Record<RuleInput["domain"], (uniform: number) => number>> = {
  real: (uniform) => 2 * uniform - 1,
  "open unit": (uniform) => 0.9 + 0.1 * uniform,
  unit: (uniform) => uniform,
  "not positive": (uniform) => Math.log(0.9 + 0.1 * uniform),
};
