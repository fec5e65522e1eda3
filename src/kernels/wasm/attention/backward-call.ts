/** @file The backward pass of one call: its places, its tasks, and gradients on their way out. */
import { type AttentionGradients } from "../../../attention/index.ts";
import { sizeOf, type Tensor } from "../../../base/tensor.ts";
import { type CopiedArray } from "./copied-arrays.ts";
import { type KernelCall } from "./kernel-call.ts";
import { rowBlocks } from "./head-rows.ts";
import { tileKeys } from "./kernel-spec.ts";
import { pullRows } from "./lift-rows.ts";
import { type TilePlan } from "./tile-plan.ts";
import { liftOutGradient, pullValues } from "./value-rows.ts";
import {
  addNormaliserGradient,
  addParameterSums,
  addTableGradient,
  addTo,
  biasGradientOf,
  pullWinners,
} from "./parameter-gradients.ts";

/** Tasks of a backward pass that one head is split into at most; each has a dq of its own. */
const mostChunks = 4;
const wantedTasks = 8;
/** A dq larger than this is not copied more than twice. */
const largeGradientBytes = 8 * 2 ** 20;

function chunkCount({ heads, virtual, paddedQueries, kernel }: KernelCall): number {
  const isLarge = 4 * paddedQueries * kernel.spec.rowWidth > largeGradientBytes;
  const most = Math.min(isLarge ? 2 : mostChunks, Math.ceil(virtual.keys / tileKeys));
  return Math.max(1, Math.min(most, Math.ceil(wantedTasks / heads.length)));
}

/** Runs the backward pass of a call whose keys are prepared and whose forward statistics are in place. */
export function backwardOf(call: KernelCall, dOut: Tensor, learned?: readonly string[]): AttentionGradients {
  const { kernel, heads, sizes, paddedQueries, paddedKeys, composition, inputs } = call;
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
  const ofPlan = new Map<TilePlan, ReturnType<typeof chunkLists>>();
  for (const { number } of heads) {
    const plan = call.planOf(number);
    ofPlan.set(plan, ofPlan.get(plan) ?? chunkLists(call, plan, chunks));
  }

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
    const joined = call.view(call.out + 4 * number * rows, rows);
    const gradient = call.view(outGradient + 4 * number * rows, rows);
    const byCurvature = liftOutGradient(
      dOut.data.subarray(number * queries * valueWidth, (number + 1) * queries * valueWidth),
      joined,
      gradient,
      call.valueLayout(head),
    );
    addTo(dParameters[composition.aggregation.parameters[0]?.name ?? ""], head, byCurvature);
  }

  const rowsAt = (base: number, number: number, width: number): CopiedArray => ({
    side: "rows",
    number,
    data: base + 4 * number * paddedQueries * width,
    width,
  });
  call.copies.move(
    "copyRows",
    heads.flatMap(({ number }) => [
      rowsAt(call.out, number, paddedValueWidth),
      rowsAt(outGradient, number, paddedValueWidth),
    ]),
  );
  // Copies of a row have its own Δ and lse, as these are of the row's whole softmax.
  call.copies.move(
    "copyNumbers",
    heads.map(({ number }) => rowsAt(call.logSumExp, number, 1)),
  );

  const records = heads.map((rows) => {
    const { number, valueRows } = rows;
    const queryRow = number * paddedQueries;
    return {
      ...call.headRecord(rows, kernel.slopes),
      outGradient: outGradient + 4 * queryRow * paddedValueWidth,
      delta: delta + 4 * queryRow,
      packedValue: packedValue + 4 * valueRows * paddedKeys * paddedValueWidth,
      keyGradient: keyGradient + 4 * number * paddedKeys * rowWidth,
      valueGradient: valueGradient + 4 * number * paddedKeys * paddedValueWidth,
      rows: call.virtual.queries,
    };
  });
  const valueHeads = new Map(heads.map(({ valueRows }, index) => [valueRows, records[index]]));
  call.run(
    "packValues",
    [...valueHeads.values()].flatMap((record) =>
      rowBlocks(paddedKeys).map(({ first, rows }) => ({
        value: record.value + 4 * first * paddedValueWidth,
        packedValue: record.packedValue + 4 * first * paddedValueWidth,
        rows,
      })),
    ),
  );
  if (spec.weighing === "softmax") {
    call.run(
      "delta",
      records.map((shared) => ({ shared })),
    );
  }
  call.run(
    "backward",
    records.flatMap((shared, number) =>
      ofPlan.get(call.planOf(number))!.map(({ tiles, tileCount }, chunk) => {
        const task = number * chunks + chunk;
        return {
          shared,
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
  const queryLiftedAt = (number: number): number => queryGradient + 4 * number * chunks * queryFloats;
  const keyLiftedAt = (number: number): number => keyGradient + 4 * number * paddedKeys * rowWidth;
  const valueLiftedAt = (number: number): number =>
    valueGradient + 4 * number * paddedKeys * paddedValueWidth;
  call.copies.move(
    "addCopies",
    heads.flatMap(({ number }): CopiedArray[] => [
      { side: "rows", number, data: queryLiftedAt(number), width: rowWidth },
      { side: "keys", number, data: keyLiftedAt(number), width: rowWidth },
      { side: "keys", number, data: valueLiftedAt(number), width: paddedValueWidth },
    ]),
  );
  call.turn(
    "back",
    heads.flatMap(({ number }) => [
      ["query", queryLiftedAt(number)] as const,
      ["key", keyLiftedAt(number)] as const,
    ]),
  );
  for (const { batch, head, keyHead, number } of heads) {
    const root = call.rootMetric(head);
    const metricOf = (source: Float32Array): Parameters<typeof pullRows>[5] =>
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
    const isFirst = head % (sizes.heads / sizes.keyHeads) === 0;
    const before = isFirst ? "zeros" : "numbers";
    const queryLifted = call.view(queryLiftedAt(number), queryFloats);
    const queryCount = queries * sizes.width;
    const keyCount = keys * sizes.width;
    pullRows(
      call.lifts.query,
      queryLifted,
      part(dq.data, number, queryCount),
      queries,
      "zeros",
      metricOf(part(inputs.q.data, number, queryCount)),
    );
    const keyLifted = call.view(keyLiftedAt(number), paddedKeys * rowWidth);
    pullRows(
      call.lifts.key,
      keyLifted,
      part(dk.data, shared, keyCount),
      keys,
      before,
      metricOf(part(inputs.k.data, shared, keyCount)),
    );
    const valueLifted = call.view(valueLiftedAt(number), paddedKeys * paddedValueWidth);
    const byCurvature =
      spec.weighing === "maxplus"
        ? pullWinners(call, dOut, number, part(dv.data, shared, keys * valueWidth))
        : pullValues(
            valueLifted,
            part(inputs.v.data, shared, keys * valueWidth),
            part(dv.data, shared, keys * valueWidth),
            call.valueLayout(head),
            before,
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
      Object.entries(dParameters)
        .filter(([name]) => learned?.includes(name) ?? true)
        .map(([name, data]) => [name, { data: Float32Array.from(data), shape: call.parameters[name].shape }]),
    ),
  };
}

/** Key tiles of a chunk: every `chunks`-th, so that chunks of a causal pattern have about the same work. */
function chunkLists(
  call: KernelCall,
  plan: TilePlan,
  chunks: number,
): readonly { readonly tiles: number; readonly tileCount: number }[] {
  const { keyStart } = plan;
  const keyEntries = call.copyIntegers(plan.keyEntries);
  return Array.from({ length: chunks }, (_, chunk) => {
    const list: number[] = [];
    for (let tile = chunk; tile < keyStart.length - 1; tile += chunks) {
      if (keyStart[tile] === keyStart[tile + 1]) continue;
      list.push(tile, keyEntries + 8 * keyStart[tile], keyEntries + 8 * keyStart[tile + 1]);
    }
    return { tiles: call.copyIntegers(Int32Array.from(list)), tileCount: list.length / 3 };
  });
}
