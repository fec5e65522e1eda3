/**
 * @file What an attention keeps while a decoder generates: keys and values. On an engine they lie in its memory and the kernels
 * compute; without one, the f64 reference does.
 */
import { openComposition } from "../attention/chosen-pairs.ts";
import { type Composition, type MaskTensor, referenceForward } from "../attention/index.ts";
import { isLinearInKeys, reachOf } from "../attention/reach.ts";
import { narrow, sizeOf, type Tensor } from "../base/tensor.ts";
import { type KeyValueCache, type WasmEngine, wasmCache } from "../kernels/wasm/index.ts";
import { CacheParameters } from "../kernels/wasm/decoding/cache-parameters.ts";
import { ChosenKeys } from "../kernels/wasm/decoding/chosen-keys.ts";
import { rowsBetween } from "../kernels/wasm/decoding/rows-between.ts";
import { type GroupState, type TokenTensors } from "./decoding-group.ts";
import { sumsState } from "./decoding-sums.ts";
import { guards } from "../similarities/index.ts";

/** Keys and values of an attention. */
export function attentionState(
  composition: Composition,
  parameterNames: readonly string[],
  engine: WasmEngine | undefined,
): GroupState {
  const parametersOf = (inputs: TokenTensors): TokenTensors =>
    Object.fromEntries(parameterNames.map((name) => [name, inputs[name]]));
  if (isLinearInKeys(composition)) return sumsState(composition, parametersOf, engine);
  return engine === undefined
    ? referenceState(composition, parametersOf)
    : cachedState(composition, parametersOf, engine);
}

function referenceState(
  composition: Composition,
  parametersOf: (inputs: TokenTensors) => TokenTensors,
): GroupState {
  const reach = reachOf(composition) ?? Infinity;
  const isChosen = composition.selection.choose !== undefined;
  let kept: Readonly<Record<"k" | "v", Tensor>> | undefined;
  let chosen: ChosenKeys | undefined;
  return {
    take(inputs) {
      const parameters = parametersOf(inputs);
      const { q } = inputs;
      const [k, v] = [joined(kept?.k, inputs["k"]), joined(kept?.v, inputs["v"])];
      const call = { q, k, v, offset: k.shape[2] - q.shape[2], parameters };
      if (isChosen) chosen ??= chosenKeys(composition, call);
      const { out } =
        chosen === undefined
          ? referenceForward(composition, call, { guard: guards.f32 })
          : referenceForward(
              openComposition(composition),
              { ...call, mask: keptMask(chosen, q, inputs["k"], call.offset) },
              { guard: guards.f32 },
            );
      kept = { k: lastRows(k, reach), v: lastRows(v, reach) };
      return narrow(out);
    },
    get size() {
      return (kept?.k.data.length ?? 0) + (kept?.v.data.length ?? 0) + (chosen?.size ?? 0);
    },
    dispose() {
      kept = undefined;
      chosen = undefined;
    },
  };
}

function chosenKeys(
  composition: Composition,
  { q, k, v, parameters }: Readonly<Record<"q" | "k" | "v", Tensor>> & { readonly parameters: TokenTensors },
): ChosenKeys {
  const [batch, heads, , width] = q.shape;
  const sizes = { batch, heads, keyHeads: k.shape[1], width, valueWidth: v.shape[3], capacity: 1 };
  return new ChosenKeys(composition, sizes, new CacheParameters(composition, sizes, parameters));
}

/** What queries keep, one after the other, as a mask of [B, H, N, places]. */
function keptMask(chosen: ChosenKeys, q: Tensor, k: Tensor, offset: number): MaskTensor {
  const [batch, heads, count] = q.shape;
  const shape = [batch, heads, count, offset + count];
  const data = new Uint8Array(sizeOf(shape));
  for (let index = 0; index < count; index++) {
    chosen.append(rowsBetween(k, index, index + 1));
    chosen.keptBy(rowsBetween(q, index, index + 1)).forEach((places, head) => {
      for (const place of places) data[(head * count + index) * (offset + count) + place] = 1;
    });
  }
  return { data, shape };
}

function cachedState(
  composition: Composition,
  parametersOf: (inputs: TokenTensors) => TokenTensors,
  engine: WasmEngine,
): GroupState {
  let cache: KeyValueCache | undefined;
  return {
    take(inputs) {
      const { q, k, v } = inputs;
      const [batch, heads, , width] = q.shape;
      cache ??= wasmCache(engine, composition, {
        batch,
        heads,
        keyHeads: k.shape[1],
        width,
        valueWidth: v.shape[3],
        parameters: parametersOf(inputs),
      });
      return cache.take(q, k, v).out;
    },
    get size() {
      return cache?.size ?? 0;
    },
    dispose: () => cache?.dispose(),
  };
}

/** Rows of tokens [B, G, N, D] behind those that are there. */
export function joined(before: Tensor | undefined, next: Tensor): Tensor {
  if (before === undefined) return next;
  const [batch, heads, count, width] = next.shape;
  const length = before.shape[2] + count;
  const data = new Float32Array(batch * heads * length * width);
  for (let head = 0; head < batch * heads; head++) {
    const start = before.shape[2] * width;
    data.set(before.data.subarray(head * start, (head + 1) * start), head * length * width);
    const rows = next.data.subarray(head * count * width, (head + 1) * count * width);
    data.set(rows, head * length * width + start);
  }
  return { data, shape: [batch, heads, length, width] };
}

/** The last `count` rows of every head. */
export function lastRows(rows: Tensor, count: number): Tensor {
  const length = rows.shape[2];
  return count >= length ? rows : rowsBetween(rows, length - count, length);
}
