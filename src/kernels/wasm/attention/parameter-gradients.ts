/** @file Sums of a backward pass as gradients of parameters, of a bias and of max-plus values; always in the order of heads and chunks. */
import { sizeOf, type Tensor } from "../../../base/tensor.ts";
import { sigmoidBias } from "./kernel-spec.ts";
import { type KernelCall } from "./kernel-call.ts";

export function addTo(gradient: Float64Array | undefined, head: number, amount: number): void {
  if (gradient !== undefined) gradient[head] += amount;
}

/** ∂/∂sink = −Σ_i e^{sink − lse_i}·Δ_i over rows that have a key. */
export function addNormaliserGradient(
  call: KernelCall,
  number: number,
  delta: number,
  dParameters: Readonly<Record<string, Float64Array>>,
): void {
  if (!call.kernel.spec.hasSink) return;
  const { head } = call.heads[number];
  const sink = call.normaliserParameter(head) ?? 0;
  const lse = call.view(call.logSumExp + 4 * number * call.paddedQueries, call.sizes.queries);
  const means = call.view(delta + 4 * number * call.paddedQueries, call.sizes.queries);
  lse.forEach((value, row) => {
    if (value === -Infinity) return;
    addTo(
      dParameters[call.composition.normaliser.parameters[0].name],
      head,
      -Math.exp(sink - value) * means[row],
    );
  });
}

export function addParameterSums(
  call: KernelCall,
  address: number,
  chunks: number,
  dParameters: Readonly<Record<string, Float64Array>>,
): void {
  const { parameterNames } = call.kernel.spec;
  const { doubles } = call.engine.arena;
  const normaliserName = call.composition.normaliser.parameters[0]?.name ?? "";
  for (const { number, head } of call.heads) {
    for (let chunk = 0; chunk < chunks; chunk++) {
      const at = address / 8 + (number * chunks + chunk) * (parameterNames.length + 1);
      parameterNames.forEach((name, index) => {
        addTo(dParameters[name === sigmoidBias ? normaliserName : name], head, doubles[at + index]);
      });
    }
  }
}

export function addTableGradient(
  call: KernelCall,
  address: number,
  chunks: number,
  { deltas, length }: { readonly deltas: Int32Array; readonly length: number },
  dParameters: Readonly<Record<string, Float64Array>>,
): void {
  const { position } = call.composition;
  if (position.place !== "bias") return;
  const { heads } = call.sizes;
  const gradient = new Float64Array(heads * deltas.length);
  for (const { number, head } of call.heads) {
    for (let chunk = 0; chunk < chunks; chunk++) {
      const part = call.view(address + 4 * (number * chunks + chunk) * length, deltas.length);
      part.forEach((value, x) => (gradient[(head + 1) * deltas.length - 1 - x] += value));
    }
  }
  const byName = position.tableGradient(heads, deltas, call.flatParameters(), gradient);
  for (const [name, data] of Object.entries(byName)) dParameters[name].set(data);
}

export function biasGradientOf(
  call: KernelCall,
  shape: readonly number[],
  address: number,
  stride: number,
): Tensor {
  const { queries, keys } = call.sizes;
  const sums = new Float64Array(sizeOf(shape));
  for (const { batch, head, number } of call.heads) {
    const place = ((shape[0] === 1 ? 0 : batch) * shape[1] + (shape[1] === 1 ? 0 : head)) * queries * keys;
    for (let row = 0; row < queries; row++) {
      const part = call.view(address + 4 * (number * queries + row) * stride, keys);
      part.forEach((value, key) => (sums[place + row * keys + key] += value));
    }
  }
  return { data: Float32Array.from(sums), shape };
}

/** dv_je = Σ_i dO_ie over the rows that key j won; returns 0, as max-plus has no parameter. */
export function pullWinners(call: KernelCall, dOut: Tensor, number: number, into: Float32Array): number {
  const { queries, valueWidth } = call.sizes;
  const { paddedValueWidth } = call.kernel.spec;
  const winners = call.engine.arena.integers.subarray(
    call.winner / 4 + number * call.paddedQueries * paddedValueWidth,
  );
  for (let row = 0; row < queries; row++) {
    for (let e = 0; e < valueWidth; e++) {
      const winner = winners[row * paddedValueWidth + e];
      if (winner >= 0) into[winner * valueWidth + e] += dOut.data[(number * queries + row) * valueWidth + e];
    }
  }
  return 0;
}
