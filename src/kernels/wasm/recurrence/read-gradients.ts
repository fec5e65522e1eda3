/** @file Gradients on their way out: summed over what shared an input, in an order that is always the same. */
import { type CoreInputs } from "../../../recurrence/core.ts";
import { type Tensor } from "../../../base/tensor.ts";
import { type HeadRows, type RecurrenceCall } from "./recurrence-call.ts";

/** Gradients of a call, each with the name and shape of its input; the one of the first state is always there. */
export type FusedRecurrenceGradients = CoreInputs<Tensor> & { readonly state: Tensor };

/** Where the gradients of every query head lie. */
export interface GradientPlaces {
  readonly qGradient: HeadRows;
  readonly kGradient: HeadRows;
  readonly vGradient: HeadRows;
  readonly aGradient?: HeadRows;
  readonly bGradient?: HeadRows;
  readonly decayGradient?: HeadRows;
  readonly stateGradients: HeadRows;
  /** [B·H, chunks, D'] */
  readonly uGradient: number;
}

export function readGradients(
  call: RecurrenceCall,
  inputs: CoreInputs<Tensor>,
  places: GradientPlaces,
): FusedRecurrenceGradients {
  const read = (rows: HeadRows, { shape }: Tensor): Tensor => {
    sumGroups(call, rows, shape[1]);
    return call.readRows(rows, shape);
  };
  const { q, k, v, a, b, u, logDecay } = inputs;
  return {
    q: read(places.qGradient, q),
    k: read(places.kGradient, k),
    v: read(places.vGradient, v),
    ...(a === undefined ? {} : { a: read(places.aGradient!, a) }),
    ...(b === undefined ? {} : { b: read(places.bGradient!, b) }),
    ...(u === undefined ? {} : { u: bonusGradient(call, places.uGradient, u) }),
    ...(logDecay === undefined
      ? {}
      : {
          logDecay:
            logDecay.shape.length > 2
              ? read(places.decayGradient!, logDecay)
              : staticDecayGradient(call, places.decayGradient!, logDecay),
        }),
    state: call.readStates(places.stateGradients, 0),
  };
}

/** Adds the gradients of the query heads that share one of `count` heads, to those of the first of them. */
function sumGroups(call: RecurrenceCall, { address, headFloats }: HeadRows, count: number): void {
  const { batch, heads } = call.sizes;
  const group = heads / count;
  if (group === 1) return;
  call.run(
    "sumParts",
    Array.from({ length: batch * count }, (_, head) => ({
      to: address + 4 * head * group * headFloats,
      rows: headFloats,
      count: group,
      stride: 4 * headFloats,
    })),
  );
}

function bonusGradient(call: RecurrenceCall, address: number, { shape }: Tensor): Tensor {
  const { heads, width } = call.sizes;
  const padded = call.extents.width;
  const sums = new Float64Array(heads * width);
  for (const { number, head } of call.heads) {
    const parts = call.view(address + 4 * number * call.chunks * padded, call.chunks * padded);
    for (let chunk = 0; chunk < call.chunks; chunk++) {
      for (let d = 0; d < width; d++) sums[head * width + d] += parts[chunk * padded + d];
    }
  }
  return { data: Float32Array.from(sums), shape };
}

/** Of decays that all tokens and batch entries share. */
function staticDecayGradient(
  call: RecurrenceCall,
  { address, rowFloats, headFloats }: HeadRows,
  { shape }: Tensor,
): Tensor {
  const { heads, tokens } = call.sizes;
  const own = shape[1] ?? 1;
  const sums = new Float64Array(heads * own);
  for (const { number, head } of call.heads) {
    const rows = call.view(address + 4 * number * headFloats, headFloats);
    for (let token = 0; token < tokens; token++) {
      for (let d = 0; d < own; d++) sums[head * own + d] += rows[token * rowFloats + d];
    }
  }
  return { data: Float32Array.from(sums), shape };
}
