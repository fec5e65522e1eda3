/**
 * @file What a group of heads keeps while a decoder generates: the keys and values of an attention, or the state of a recurrence. On an
 * engine the keys and values lie in its memory and the kernels compute; without one, the f64 reference does.
 */
import { type Composition, referenceForward } from "../attention/index.ts";
import { type Tape, type Value } from "../autodiff/index.ts";
import { narrow, type Tensor } from "../base/tensor.ts";
import { arrayOf } from "../kernels/jax/tensors.ts";
import { type KeyValueCache, type WasmEngine, wasmCache } from "../kernels/wasm/index.ts";
import { liftedForward } from "../kernels/wasm/recurrence/lifted-recurrence.ts";
import { checkCall } from "../recurrence/check-call.ts";
import { type RecurrenceComposition, type RecurrenceInputs } from "../recurrence/index.ts";
import { narrowState } from "../recurrence/rule.ts";
import { guards } from "../similarities/index.ts";
import { type ConvolvedHeads } from "./convolved-heads.ts";

/** Tensors of one token, by the names of the attention or the rule. */
export type TokenTensors = Readonly<Record<string, Tensor>>;

/** What a group keeps, token by token. */
export interface GroupState {
  /** Takes one token and returns what its queries read, [B, H, 1, E]. */
  step(inputs: TokenTensors): Tensor;
  /** Numbers that are kept now. */
  readonly size: number;
  dispose(): void;
}

/** Keys and values of an attention. */
export function attentionState(
  composition: Composition,
  parameterNames: readonly string[],
  engine: WasmEngine | undefined,
): GroupState {
  const parametersOf = (inputs: TokenTensors): TokenTensors =>
    Object.fromEntries(parameterNames.map((name) => [name, inputs[name]]));
  if (engine !== undefined) return cachedState(composition, parametersOf, engine);
  const kept = { k: new RowsOfTokens(), v: new RowsOfTokens() };
  return {
    step(inputs) {
      kept.k.append(inputs["k"]);
      kept.v.append(inputs["v"]);
      const { out } = referenceForward(
        composition,
        {
          q: inputs["q"],
          k: kept.k.tensor,
          v: kept.v.tensor,
          offset: kept.k.length - 1,
          parameters: parametersOf(inputs),
        },
        { guard: guards.f32 },
      );
      return narrow(out);
    },
    get size() {
      return kept.k.size + kept.v.size;
    },
    dispose() {
      // Everything lies in JavaScript.
    },
  };
}

function cachedState(
  composition: Composition,
  parametersOf: (inputs: TokenTensors) => TokenTensors,
  engine: WasmEngine,
): GroupState {
  let cache: KeyValueCache | undefined;
  let rowNumbers = 0;
  return {
    step(inputs) {
      const { q, k, v } = inputs;
      const [batch, heads, , width] = q.shape;
      const keyHeads = k.shape[1];
      const valueWidth = v.shape[3];
      cache ??= wasmCache(engine, composition, {
        batch,
        heads,
        keyHeads,
        width,
        valueWidth,
        parameters: parametersOf(inputs),
      });
      rowNumbers = batch * keyHeads * (width + valueWidth);
      cache.append(k, v);
      return cache.attend(q).out;
    },
    get size() {
      return (cache?.length ?? 0) * rowNumbers;
    },
    dispose: () => cache?.dispose(),
  };
}

/** The state of a recurrence, as its rule shows it to callers. */
export function recurrenceState(
  { rule: given }: RecurrenceComposition,
  parameterNames: readonly string[],
  engine: WasmEngine | undefined,
): GroupState {
  // A step is one token, whatever the chunk of longer calls.
  const rule = { ...given, chunk: undefined };
  let state: Tensor | undefined;
  return {
    step(inputs) {
      const tensors = Object.entries(inputs);
      const call = checkCall(
        { rule, whole: false },
        {
          ...(Object.fromEntries(
            tensors.filter(([name]) => !parameterNames.includes(name)),
          ) as unknown as RecurrenceInputs<Tensor>),
          parameters: Object.fromEntries(tensors.filter(([name]) => parameterNames.includes(name))),
          ...(state === undefined ? {} : { state }),
        },
      );
      const { out, state: next } =
        engine === undefined ? rule.forward(call, "recurrent") : liftedForward(engine, rule, call, false);
      state = narrowState(rule, next);
      return narrow(out);
    },
    get size() {
      return state?.data.length ?? 0;
    },
    dispose() {
      state = undefined;
    },
  };
}

/** Tokens of [B, G, 1, D] one after the other, as [B, G, N, D]. */
class RowsOfTokens {
  readonly #tokens: Tensor[] = [];

  get length(): number {
    return this.#tokens.length;
  }

  get size(): number {
    return this.length * (this.#tokens[0]?.data.length ?? 0);
  }

  append(token: Tensor): void {
    this.#tokens.push(token);
  }

  get tensor(): Tensor {
    const [batch, heads, , width] = this.#tokens[0].shape;
    const data = new Float32Array(this.size);
    this.#tokens.forEach((token, place) => {
      for (let head = 0; head < batch * heads; head++) {
        const row = token.data.subarray(head * width, (head + 1) * width);
        data.set(row, (head * this.length + place) * width);
      }
    });
    return { data, shape: [batch, heads, this.length, width] };
  }
}

/** Queries, keys and values of the last tokens, as far as a convolution reaches. */
export class TokensBefore {
  readonly #convolution: ConvolvedHeads | undefined;
  readonly #kept: Record<string, Tensor> = {};

  constructor(convolution: ConvolvedHeads | undefined) {
    this.#convolution = convolution;
  }

  /** Numbers that are kept now. */
  get size(): number {
    return Object.values(this.#kept).reduce((sum, { data }) => sum + data.length, 0);
  }

  /**
   * The tokens before this one, as values; this one is kept in place of the first of them.
   *
   * @param projected - [B, heads, 1, D] by name
   */
  async take(
    tape: Tape,
    projected: Readonly<Record<string, Value>>,
  ): Promise<Readonly<Record<string, Value>>> {
    const { convolved = [], reach = 0 } = this.#convolution ?? {};
    const before: Record<string, Value> = {};
    for (const name of convolved) {
      const token = await projected[name].tensor();
      const [batch, heads, , width] = token.shape;
      const kept = this.#kept[name] ?? {
        data: new Float32Array(batch * heads * reach * width),
        shape: [batch, heads, reach, width],
      };
      before[name] = tape.constant(arrayOf(kept));
      const next = new Float32Array(kept.data.length);
      for (let head = 0; head < batch * heads; head++) {
        const start = head * reach * width;
        next.set(kept.data.subarray(start + width, start + reach * width), start);
        next.set(token.data.subarray(head * width, (head + 1) * width), start + (reach - 1) * width);
      }
      this.#kept[name] = { data: next, shape: kept.shape };
    }
    return before;
  }
}
