/** @file Forward and backward of an attention on an engine: phases of tasks, and what goes in and comes out. */
import {
  type AttentionGradients,
  type AttentionInputs,
  type AttentionResult,
  type Composition,
  type ExtraOutput,
} from "../../attention/index.ts";
import { sizeOf, type Tensor } from "../../base/tensor.ts";
import { type WasmEngine } from "./engine.ts";
import { sigmoidBias } from "./kernel-spec.ts";
import { KernelCall, rowBlocks, type TaskRecord } from "./kernel-call.ts";
import { pullRows } from "./lift-rows.ts";
import { requireSupported } from "./supported.ts";
import { finishRows, liftOutGradient, pullValues, type ValueLayout } from "./value-rows.ts";

/** What a forward pass knows that its backward pass would compute again. */
export interface ForwardState {
  /** Weighted sums of values before an aggregation finished them, as the kernel lays them out. */
  readonly joined: Float32Array;
  /** Log-sum-exp without the row's own part of the scores. */
  readonly logSumExp: Float32Array;
}

/** Result of {@link fusedForward}. */
export interface FusedResult extends AttentionResult {
  readonly state: ForwardState;
}

/**
 * Forward pass, without waiting for anything.
 *
 * @param inputs - q [B, H, Q, D], k [B, G, S, D], v [B, G, S, E]: inputs that `checkInputs` accepts
 * @throws UnsupportedError `wasm-…` for parts that the kernels do not know, `memory` for calls beyond 4 GiB
 */
export function fusedForward(
  engine: WasmEngine,
  composition: Composition,
  inputs: AttentionInputs<Tensor>,
  extras: readonly ExtraOutput[] = [],
): FusedResult {
  requireSupported(composition);
  return inCall(engine, composition, inputs, (call) => {
    call.prepareKeys();
    select(call);
    join(call);
    const { batch, heads, queries } = call.sizes;
    const state = stateOf(call);
    const out = rowsOut(call, state.joined);
    const lse = extras.includes("lse") ? lseOf(call) : undefined;
    const wantsPairs = extras.includes("scores") || extras.includes("weights");
    const scores = wantsPairs ? scoresOf(call) : undefined;
    return {
      out,
      state,
      ...(lse === undefined ? {} : { lse: { data: lse, shape: [batch, heads, queries] } }),
      ...(scores !== undefined && extras.includes("scores") ? { scores } : {}),
      ...(scores !== undefined && extras.includes("weights") ? { weights: weightsOf(call, scores) } : {}),
    };
  });
}

/**
 * Backward pass: gradients of Σ out·dOut.
 *
 * @param state - what the forward pass of the same inputs returned; without it the forward pass runs again
 */
export function fusedBackward(
  engine: WasmEngine,
  composition: Composition,
  inputs: AttentionInputs<Tensor>,
  dOut: Tensor,
  state?: ForwardState,
): AttentionGradients {
  requireSupported(composition);
  return inCall(engine, composition, inputs, (call) => {
    const { spec } = call.kernel;
    call.prepareKeys();
    select(call);
    if (state === undefined || spec.weighing === "maxplus") join(call);
    else {
      call.view(call.out, state.joined.length).set(state.joined);
      call.view(call.logSumExp, state.logSumExp.length).set(state.logSumExp);
    }
    return backward(call, dOut);
  });
}

function inCall<T>(
  engine: WasmEngine,
  composition: Composition,
  inputs: AttentionInputs<Tensor>,
  run: (call: KernelCall) => T,
): T {
  const mark = engine.arena.mark;
  try {
    return run(new KernelCall(engine, composition, inputs));
  } finally {
    engine.arena.giveBack(mark);
  }
}

function select(call: KernelCall): void {
  if (call.kernel.spec.selects) call.run("select", call.rowTileRecords(call.kernel.forward));
}

function join(call: KernelCall): void {
  call.run("forward", call.rowTileRecords(call.kernel.forward));
}

function stateOf(call: KernelCall): ForwardState {
  const rows = call.heads.length * call.paddedQueries;
  return {
    joined: call.view(call.out, rows * call.kernel.spec.paddedValueWidth).slice(),
    logSumExp: call.view(call.logSumExp, rows).slice(),
  };
}

function valueLayout(call: KernelCall, head: number): ValueLayout {
  const isCentroid = call.composition.aggregation.name === "centroid";
  return {
    width: call.sizes.valueWidth,
    paddedWidth: call.kernel.spec.paddedValueWidth,
    ...(isCentroid ? { curvature: call.aggregationParameter(head) ?? 1 } : {}),
  };
}

function rowsOut(call: KernelCall, joined: Float32Array): Tensor {
  const { batch, heads, queries, valueWidth } = call.sizes;
  const { paddedValueWidth } = call.kernel.spec;
  const shape = [batch, heads, queries, valueWidth];
  const data = new Float32Array(sizeOf(shape));
  if (joined.length === data.length) {
    data.set(joined);
    return { data, shape };
  }
  for (const { number, head } of call.heads) {
    finishRows(
      joined.subarray(number * call.paddedQueries * paddedValueWidth),
      data.subarray(number * queries * valueWidth, (number + 1) * queries * valueWidth),
      valueLayout(call, head),
    );
  }
  return { data, shape };
}

function lseOf(call: KernelCall): Float32Array {
  const { heads, kernel, paddedQueries, sizes } = call;
  const { rowTerm } = kernel;
  let address = call.logSumExp;
  if (rowTerm !== undefined) {
    address = call.takeFloats(heads.length * paddedQueries);
    call.run(
      "rowTerms",
      heads.map((rows) => ({
        ...call.headRecord(rows, rowTerm),
        fullLogSumExp: address + 4 * rows.number * paddedQueries,
        rows: paddedQueries,
      })),
    );
  }
  const data = new Float32Array(heads.length * sizes.queries);
  for (const { number } of heads) {
    data.set(call.view(address + 4 * number * paddedQueries, sizes.queries), number * sizes.queries);
  }
  return data;
}

function scoresOf(call: KernelCall): Tensor {
  const { batch, heads, queries, keys } = call.sizes;
  const stride = call.paddedKeys;
  const address = call.takeFloats(batch * heads * queries * stride);
  call.view(address, batch * heads * queries * stride).fill(-Infinity);
  const perHead = Math.ceil(call.plan.rowStart.length - 1);
  call.run(
    "scores",
    call.rowTileRecords(call.kernel.full).map((record, index) => ({
      ...record,
      scores: address + 4 * Math.floor(index / perHead) * queries * stride,
      scoresStride: 4 * stride,
    })),
  );
  const shape = [batch, heads, queries, keys];
  const data = new Float32Array(sizeOf(shape));
  for (let row = 0; row < batch * heads * queries; row++) {
    data.set(call.view(address + 4 * row * stride, keys), row * keys);
  }
  return { data, shape };
}

/** Weights of scores that a person asked to see, by the normaliser itself. */
function weightsOf(call: KernelCall, { data, shape }: Tensor): Tensor {
  const { heads, queries, keys } = call.sizes;
  const weights = new Float32Array(data.length);
  for (let row = 0; row * keys < data.length; row++) {
    const scores = data.subarray(row * keys, (row + 1) * keys);
    const kept = [...scores.keys()].filter((key) => scores[key] !== -Infinity);
    const parameter = call.normaliserParameter(Math.floor(row / queries) % heads);
    const of = call.composition.normaliser.forward(
      Float64Array.from(kept, (key) => scores[key]),
      { keys, parameter },
    );
    kept.forEach((key, index) => (weights[row * keys + key] = of.weights[index]));
  }
  return { data: weights, shape };
}

/** Tasks of a backward pass that one head is split into at most; each has a dq of its own. */
const mostChunks = 4;
const wantedTasks = 8;
/** A dq larger than this is not copied more than twice. */
const largeGradientBytes = 8 * 2 ** 20;

function chunkCount({ heads, plan, paddedQueries, kernel }: KernelCall): number {
  const isLarge = 4 * paddedQueries * kernel.spec.rowWidth > largeGradientBytes;
  const most = Math.min(isLarge ? 2 : mostChunks, plan.keyStart.length - 1);
  return Math.max(1, Math.min(most, Math.ceil(wantedTasks / heads.length)));
}

function backward(call: KernelCall, dOut: Tensor): AttentionGradients {
  const { kernel, heads, sizes, plan, paddedQueries, paddedKeys, composition, inputs } = call;
  const { spec } = kernel;
  const { queries, keys, valueWidth } = sizes;
  const { rowWidth, paddedValueWidth, parameterNames } = spec;
  const chunks = chunkCount(call);
  const queryFloats = paddedQueries * rowWidth;

  const outGradient = call.takeFloats(heads.length * paddedQueries * paddedValueWidth);
  const delta = call.takeFloats(heads.length * paddedQueries);
  const packedValue = call.takeFloats(
    Math.max(...heads.map(({ valueRows }) => valueRows + 1)) * paddedKeys * paddedValueWidth,
  );
  const queryGradient = call.takeFloats(heads.length * chunks * queryFloats);
  const keyGradient = call.takeFloats(heads.length * paddedKeys * rowWidth);
  const valueGradient = call.takeFloats(heads.length * paddedKeys * paddedValueWidth);
  const parameterCount = parameterNames.length + 1;
  const parameterGradient = call.takeFloats(2 * heads.length * chunks * parameterCount);
  const distances = spec.learnsTable ? call.distances() : undefined;
  const tableLength = distances?.length ?? 0;
  const tableGradient = call.takeFloats(heads.length * chunks * tableLength);
  const biasStride = paddedKeys;
  const biasGradient = spec.hasBias ? call.takeFloats(heads.length * queries * biasStride) : 0;
  const keyEntries = call.copyIntegers(plan.keyEntries);
  const lists = chunkLists(call, chunks, keyEntries);

  call.view(keyGradient, heads.length * paddedKeys * rowWidth).fill(0);
  call.view(valueGradient, heads.length * paddedKeys * paddedValueWidth).fill(0);
  call.view(parameterGradient, 2 * heads.length * chunks * parameterCount).fill(0);
  call.view(tableGradient, heads.length * chunks * tableLength).fill(0);
  if (spec.hasBias) call.view(biasGradient, heads.length * queries * biasStride).fill(0);

  const dParameters = Object.fromEntries(
    Object.entries(call.parameters).map(([name, { shape }]) => [name, new Float64Array(sizeOf(shape))]),
  );
  for (const { number, head } of heads) {
    const rows = paddedQueries * paddedValueWidth;
    const byCurvature = liftOutGradient(
      dOut.data.subarray(number * queries * valueWidth, (number + 1) * queries * valueWidth),
      call.view(call.out + 4 * number * rows, rows),
      call.view(outGradient + 4 * number * rows, rows),
      valueLayout(call, head),
    );
    addTo(dParameters[composition.aggregation.parameters[0]?.name ?? ""], head, byCurvature);
  }

  const records = heads.map((rows): TaskRecord => {
    const { number, valueRows } = rows;
    const queryRow = number * paddedQueries;
    return {
      ...call.headRecord(rows, kernel.slopes),
      outGradient: outGradient + 4 * queryRow * paddedValueWidth,
      delta: delta + 4 * queryRow,
      packedValue: packedValue + 4 * valueRows * paddedKeys * paddedValueWidth,
      keyGradient: keyGradient + 4 * number * paddedKeys * rowWidth,
      valueGradient: valueGradient + 4 * number * paddedKeys * paddedValueWidth,
      rows: queries,
    };
  });
  const valueHeads = new Map(heads.map(({ valueRows }, index) => [valueRows, records[index]]));
  call.run(
    "packValues",
    [...valueHeads.values()].flatMap((record) =>
      rowBlocks(paddedKeys).map(({ first, rows }) => ({
        value: record.value! + 4 * first * paddedValueWidth,
        packedValue: record.packedValue! + 4 * first * paddedValueWidth,
        rows,
      })),
    ),
  );
  if (spec.weighing === "softmax") call.run("delta", records);
  call.run(
    "backward",
    records.flatMap((record, number) =>
      lists.map(({ tiles, tileCount }, chunk) => {
        const task = number * chunks + chunk;
        return {
          ...record,
          tiles,
          tileCount,
          queryGradient: queryGradient + 4 * task * queryFloats,
          parameterGradient: parameterGradient + 8 * task * parameterCount,
          tableGradient: tableGradient + 4 * (task * tableLength + queries - 1),
          biasGradient: biasGradient + 4 * number * queries * biasStride,
          biasGradientStride: 4 * biasStride,
        };
      }),
    ),
  );
  if (chunks > 1) {
    call.run(
      "sumChunks",
      heads.map(({ number }) => ({
        queryGradient: queryGradient + 4 * number * chunks * queryFloats,
        scoresStride: 4 * queryFloats,
        count: chunks,
        rows: paddedQueries,
      })),
    );
  }

  const [dq, dk, dv] = [inputs.q, inputs.k, inputs.v].map(({ shape }) => ({
    data: new Float32Array(sizeOf(shape)),
    shape,
  }));
  const metricName = composition.similarity.metric;
  for (const { batch, head, keyHead, number } of heads) {
    const root = call.rootMetric(head);
    const metricOf = (source: Float32Array): Parameters<typeof pullRows>[4] =>
      root === undefined || metricName === undefined
        ? undefined
        : {
            root,
            source,
            gradient: dParameters[metricName].subarray(head * sizes.width, (head + 1) * sizes.width),
          };
    const part = (data: Float32Array, index: number, count: number): Float32Array =>
      data.subarray(index * count, (index + 1) * count);
    const shared = batch * sizes.keyHeads + keyHead;
    const queryLifted = call.view(queryGradient + 4 * number * chunks * queryFloats, queryFloats);
    const queryCount = queries * sizes.width;
    const keyCount = keys * sizes.width;
    pullRows(
      call.lifts.query,
      queryLifted,
      part(dq.data, number, queryCount),
      queries,
      metricOf(part(inputs.q.data, number, queryCount)),
    );
    const keyLifted = call.view(keyGradient + 4 * number * paddedKeys * rowWidth, paddedKeys * rowWidth);
    pullRows(
      call.lifts.key,
      keyLifted,
      part(dk.data, shared, keyCount),
      keys,
      metricOf(part(inputs.k.data, shared, keyCount)),
    );
    const valueLifted = call.view(
      valueGradient + 4 * number * paddedKeys * paddedValueWidth,
      paddedKeys * paddedValueWidth,
    );
    const byCurvature =
      spec.weighing === "maxplus"
        ? pullWinners(call, dOut, number, part(dv.data, shared, keys * valueWidth))
        : pullValues(
            valueLifted,
            part(inputs.v.data, shared, keys * valueWidth),
            part(dv.data, shared, keys * valueWidth),
            valueLayout(call, head),
          );
    addTo(dParameters[composition.aggregation.parameters[0]?.name ?? ""], head, byCurvature);
    addNormaliserGradient(call, number, delta, dParameters);
  }
  addParameterSums(call, parameterGradient, chunks, dParameters);
  if (distances !== undefined) addTableGradient(call, tableGradient, chunks, distances, dParameters);
  return {
    dq,
    dk,
    dv,
    ...(inputs.bias === undefined
      ? {}
      : { dBias: biasGradientOf(call, inputs.bias.shape, biasGradient, biasStride) }),
    dParameters: Object.fromEntries(
      Object.entries(dParameters).map(([name, data]) => [
        name,
        { data: Float32Array.from(data), shape: call.parameters[name].shape },
      ]),
    ),
  };
}

/** Key tiles of a chunk: every `chunks`-th, so that chunks of a causal pattern have about the same work. */
function chunkLists(
  call: KernelCall,
  chunks: number,
  keyEntries: number,
): readonly { readonly tiles: number; readonly tileCount: number }[] {
  const { keyStart } = call.plan;
  return Array.from({ length: chunks }, (_, chunk) => {
    const list: number[] = [];
    for (let tile = chunk; tile < keyStart.length - 1; tile += chunks) {
      if (keyStart[tile] === keyStart[tile + 1]) continue;
      list.push(tile, keyEntries + 8 * keyStart[tile], keyEntries + 8 * keyStart[tile + 1]);
    }
    return { tiles: call.copyIntegers(Int32Array.from(list)), tileCount: list.length / 3 };
  });
}

function addTo(gradient: Float64Array | undefined, head: number, amount: number): void {
  if (gradient !== undefined) gradient[head] += amount;
}

/** ∂/∂sink = −Σ_i e^{sink − lse_i}·Δ_i over rows that have a key. */
function addNormaliserGradient(
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

function addParameterSums(
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

function addTableGradient(
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

function biasGradientOf(call: KernelCall, shape: readonly number[], address: number, stride: number): Tensor {
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
function pullWinners(call: KernelCall, dOut: Tensor, number: number, into: Float32Array): number {
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
