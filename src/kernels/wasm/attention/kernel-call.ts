/**
 * @file One call of a kernel: where its tensors lie in the engine's memory, the numbers of its heads, its lists of tiles
 * and the records of its tasks.
 */
import {
  type AttentionInputs,
  type AttentionSizes,
  type Composition,
  resolveParameters,
} from "../../../attention/index.ts";
import { pairPlace } from "../../../attention/inputs.ts";
import { type Tensor, type Tensor64 } from "../../../base/tensor.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { type CompiledKernel, kernelOf } from "./compiled-kernel.ts";
import { type Task } from "../engine/tasks.ts";
import { guard, roundUp, sigmoidBias, tileKeys, tileRows } from "./kernel-spec.ts";
import { type HeadRows, headRows, rowBlocks, sizesOf } from "./head-rows.ts";
import { repeatedLift, type RowLift, rowLift } from "./lift-rows.ts";
import { turnSigns, turnTable, turnWidth } from "./rotation.ts";
import { headTable, type ScoreProgram } from "../score/score-program.ts";
import { type RecordField, recordFields } from "../engine/scratch.ts";
import { type CallOptions, type StoredKeys } from "./call-options.ts";
import { type CallPlan, callPlan, ofOnePlace } from "./call-plan.ts";
import { type Rearrangement } from "./rearrange.ts";
import { CopiedArrays } from "./copied-arrays.ts";
import { sortableRows } from "./select-rows.ts";
import { type Fields, type RecordFields, runTasks } from "../engine/task-records.ts";
import { rowTileCounts, type TilePlan } from "./tile-plan.ts";
import { type ValueLayout } from "./value-rows.ts";

type Field = Exclude<RecordField, "task">;

/** A record before it is written. */
export type TaskRecord = RecordFields<Field>;

/** The record of a row tile: what it says beside the record of its head. */
export type RowTileRecord = Readonly<Record<"firstRow" | "rows" | "tiles" | "tileCount", number>> & {
  readonly shared: HeadRecord;
};

/** What all records of a head share. */
export type HeadRecord = Fields<Field> & Readonly<Record<"out" | "winner" | "value", number>>;

/** So many rows are treated faster by one thread than by several. */
export const fewRows = 256;

export class KernelCall {
  readonly engine: WasmEngine;
  readonly composition: Composition;
  readonly inputs: AttentionInputs<Tensor>;
  readonly sizes: AttentionSizes;
  readonly parameters: Readonly<Record<string, Tensor64>>;
  readonly kernel: CompiledKernel;
  /** The plan of all heads, or one a head. */
  readonly #plans: readonly CallPlan[];
  /** Rows and keys of a head as the kernel sees them, copies included. */
  readonly virtual: { readonly queries: number; readonly keys: number };
  readonly heads: readonly HeadRows[];
  readonly lifts: { readonly query: RowLift; readonly key: RowLift };
  /** Rows of a head with their copies, rounded up: queries to 4, keys to 8. */
  readonly paddedQueries: number;
  readonly paddedKeys: number;
  /** Addresses. */
  readonly query: number;
  readonly key: number;
  readonly packedKey: number;
  readonly value: number;
  readonly queryNorm: number;
  readonly keyNorm: number;
  readonly out: number;
  readonly logSumExp: number;
  readonly winner: number;
  readonly threshold: number;
  readonly tie: number;
  readonly #places: Readonly<Record<"query" | "key", { first: number; count: number; length: number }>>;
  readonly #turns: Readonly<Record<"query" | "key", number>>;
  /** Addresses of the lists of every plan. */
  readonly #lists: readonly { readonly masks: number; readonly rowEntries: number }[];
  readonly #mask: number;
  readonly #bias: number;
  readonly #table: number;
  readonly #scratch: number;
  readonly #scratchBytes: number;
  /** Moves rows between themselves and their copies. */
  readonly copies: CopiedArrays;
  readonly #tables = new Map<ScoreProgram, number>();
  readonly #start: number;
  readonly #stored: StoredKeys | undefined;

  constructor(
    engine: WasmEngine,
    composition: Composition,
    inputs: AttentionInputs<Tensor>,
    { learned, showsPairs = false, plans, stored }: CallOptions = {},
  ) {
    const { arena } = engine;
    this.engine = engine;
    this.composition = composition;
    this.inputs = inputs;
    this.sizes = sizesOf(inputs);
    this.#stored = stored;
    this.parameters = stored?.parameters ?? resolveParameters(composition, this.sizes, inputs.parameters);
    const { batch, heads, keyHeads, queries, keys, width, valueWidth } = this.sizes;
    const { similarity, position, aggregation } = composition;
    const { mask, bias, offset = 0 } = inputs;
    this.kernel = kernelOf(engine, composition, {
      width,
      valueWidth,
      hasBias: bias !== undefined,
      hasMask: mask !== undefined,
      ...(learned === undefined ? {} : { learned }),
    });
    const { spec, layout } = this.kernel;
    // Heads that choose for themselves have copies of their own.
    const [ownKeys, ownValues] = [similarity.metric !== undefined, aggregation.name === "centroid"].map(
      (isOwn) => isOwn || plans !== undefined,
    );
    this.heads = headRows(this.sizes, { ownKeys, ownValues });
    const shape = { segments: spec.segments, width, rowWidth: spec.rowWidth };
    const lifted = { hasMetric: similarity.metric !== undefined, turnsInKernel: spec.rotation !== undefined };
    const length = stored?.rotationLength ?? keys;
    const places = stored?.isOnePlace === true ? 1 : queries;
    this.#places = {
      query: { first: offset + (stored?.first ?? 0), count: places, length },
      key: { first: 0, count: stored === undefined ? keys : 0, length },
    };
    const ofQuery = rowLift("query", shape, position, this.#places.query, lifted);
    this.lifts = {
      query: places === queries ? ofQuery : repeatedLift(ofQuery, queries),
      key: rowLift("key", shape, position, this.#places.key, lifted),
    };
    this.#plans = plans ?? [this.#planOfPattern(places, showsPairs || stored !== undefined)];
    const [{ rearrangement }] = this.#plans;
    this.copies = new CopiedArrays(engine, this.sizes, (number) => this.rearrangementOf(number));
    this.virtual = {
      queries: rearrangement?.rows.length ?? queries,
      keys: rearrangement?.keys.length ?? keys,
    };
    this.paddedQueries = roundUp(this.virtual.queries, 4);
    this.paddedKeys = stored?.rows ?? roundUp(this.virtual.keys, 8);
    this.#start = arena.mark;

    const keyCount = batch * (ownKeys ? heads : keyHeads);
    const valueCount = batch * (ownValues ? heads : keyHeads);
    const queryRows = batch * heads * this.paddedQueries;
    const floats = (count: number): number => arena.take(4 * count);
    this.query = floats(queryRows * spec.rowWidth);
    this.key = stored === undefined ? floats(keyCount * this.paddedKeys * spec.rowWidth) : 0;
    this.packedKey = stored?.packedKey ?? floats(keyCount * this.paddedKeys * spec.rowWidth);
    this.value = stored?.value ?? floats(valueCount * this.paddedKeys * spec.paddedValueWidth);
    this.queryNorm = floats(queryRows * spec.segments.length);
    this.keyNorm = stored?.keyNorm ?? floats(keyCount * this.paddedKeys * spec.segments.length);
    this.out = floats(queryRows * spec.paddedValueWidth);
    this.logSumExp = floats(queryRows);
    this.winner = spec.weighing === "maxplus" ? floats(queryRows * spec.paddedValueWidth) : 0;
    this.threshold = spec.selects ? floats(queryRows) : 0;
    this.tie = spec.selects ? floats(queryRows) : 0;
    // Lists of tiles come after the tensors: a call beyond the memory is refused before they are made.
    this.#lists = this.#plans.map(({ tiles }) => ({
      masks: this.copyIntegers(tiles().masks),
      rowEntries: this.copyIntegers(tiles().rowEntries),
    }));
    this.#bias = bias === undefined ? 0 : floats(bias.data.length + tileKeys);
    if (bias !== undefined) arena.floats.set(bias.data, this.#bias / 4);
    this.#mask = mask === undefined ? 0 : arena.take(mask.data.length + tileKeys);
    if (mask !== undefined) arena.bytes.set(mask.data, this.#mask);
    this.#table = stored === undefined ? this.#copyTable() : 0;
    const widestList = Math.max(1, ...this.#plans.flatMap(({ tiles }) => rowTileCounts(tiles())));
    this.#scratchBytes = roundUp(
      layout.bytes + (spec.selects ? 4 * sortableRows * tileKeys * widestList : 0),
      64,
    );
    this.#scratch = arena.take(this.#scratchBytes * engine.threads);
    this.#turns = { query: this.#copyTurns("query"), key: this.#copyTurns("key") };
  }

  /** The plan of the pattern, all of whose queries may be at one place. */
  #planOfPattern(places: number, isFixed: boolean): CallPlan {
    const { queries, keys } = this.sizes;
    const plan = callPlan(this, { queries: places, keys }, isFixed);
    return places === queries ? plan : ofOnePlace(plan, queries);
  }

  /** The tiles of a query head. */
  planOf(number: number): TilePlan {
    return this.#plans[this.#plans.length === 1 ? 0 : number].tiles();
  }

  /** Copies of rows and keys of a query head that follow them; undefined when there are none. */
  rearrangementOf(number: number): Rearrangement | undefined {
    return this.#plans[this.#plans.length === 1 ? 0 : number].rearrangement;
  }

  /** Gives the memory of the call back. */
  close(): void {
    this.engine.arena.giveBack(this.#start);
  }

  /** Whether keys and values lie in the memory already. */
  get isStored(): boolean {
    return this.#stored !== undefined;
  }

  /** Floats of a place as a view, valid until memory is taken again. */
  view(address: number, count: number): Float32Array {
    return this.engine.arena.floats.subarray(address / 4, address / 4 + count);
  }

  takeFloats(count: number): number {
    return this.engine.arena.take(4 * count);
  }

  copyIntegers(data: Int32Array): number {
    const address = this.engine.arena.take(4 * Math.max(1, data.length));
    this.engine.arena.integers.set(data, address / 4);
    return address;
  }

  /** The square root of a head's metric. */
  rootMetric(head: number): Float64Array | undefined {
    const { metric } = this.composition.similarity;
    if (metric === undefined) return undefined;
    const { width } = this.sizes;
    return this.parameters[metric].data.subarray(head * width, (head + 1) * width).map(Math.sqrt);
  }

  /** The table by which the kernel turns the rows of one side. */
  #copyTurns(role: "query" | "key"): number {
    const { rotation } = this.kernel.spec;
    if (rotation === undefined) return 0;
    const places = { ...this.#places[role], role };
    const table = turnTable(this.composition.position, rotation, this.sizes.width, places);
    const length = this.#rowsOf(role) * turnWidth(rotation);
    const address = this.takeFloats(length);
    // One row serves all queries of one place.
    for (let at = 0; at < length; at += table.length) this.view(address + 4 * at, table.length).set(table);
    return address;
  }

  /** Rows of a head that are lifted. */
  #rowsOf(role: "query" | "key"): number {
    return role === "query" ? this.sizes.queries : this.#places.key.count;
  }

  /** Turns lifted rows of heads by their place, or gradients of such rows back; nothing where the kernel has no rotation. */
  turn(
    direction: keyof typeof turnSigns,
    heads: readonly (readonly [role: "query" | "key", address: number])[],
  ): void {
    const { rotation, rowWidth } = this.kernel.spec;
    if (rotation === undefined) return;
    const records = heads.flatMap(([role, address]) =>
      rowBlocks(this.#rowsOf(role)).map(({ first, rows }) => ({
        turned: address + 4 * first * rowWidth,
        turns: this.#turns[role] + 4 * first * turnWidth(rotation),
        turnSign: turnSigns[direction],
        rows,
      })),
    );
    const count = records.reduce((sum, { rows }) => sum + rows, 0);
    this.run("rotate", records, count <= fewRows);
  }

  /** The number of an aggregation's parameter for a head. */
  aggregationParameter(head: number): number | undefined {
    const [parameter] = this.composition.aggregation.parameters;
    return parameter === undefined ? undefined : this.parameters[parameter.name].data[head];
  }

  /** How values are laid out for a head. */
  valueLayout(head: number): ValueLayout {
    const isCentroid = this.composition.aggregation.name === "centroid";
    return {
      width: this.sizes.valueWidth,
      paddedWidth: this.kernel.spec.paddedValueWidth,
      ...(isCentroid ? { curvature: this.aggregationParameter(head) ?? 1 } : {}),
    };
  }

  normaliserParameter(head: number): number | undefined {
    const [parameter] = this.composition.normaliser.parameters;
    return parameter === undefined ? undefined : this.parameters[parameter.name].data[head];
  }

  /** [H, Q + S − 1 (and a margin)] biases by j − i, ascending. */
  #copyTable(): number {
    const { position } = this.composition;
    if (position.place !== "bias") return 0;
    const { heads } = this.sizes;
    const { deltas, length } = this.distances();
    const table = position.table(heads, deltas, this.flatParameters());
    const address = this.takeFloats(heads * length);
    const view = this.view(address, heads * length);
    view.fill(0);
    for (let head = 0; head < heads; head++) {
      for (let x = 0; x < deltas.length; x++)
        view[head * length + x] = table[(head + 1) * deltas.length - 1 - x];
    }
    return address;
  }

  /** Every Δ that occurs, ascending, and the numbers that a head's table takes. */
  distances(): { readonly deltas: Int32Array; readonly length: number } {
    const { queries, keys } = this.sizes;
    const first = (this.inputs.offset ?? 0) - (keys - 1);
    const deltas = Int32Array.from({ length: queries + keys - 1 }, (_, index) => first + index);
    return { deltas, length: roundUp(deltas.length + tileKeys, 16) };
  }

  flatParameters(): Record<string, Float64Array> {
    return Object.fromEntries(Object.entries(this.parameters).map(([name, { data }]) => [name, data]));
  }

  /** Addresses of a program's numbers per head, four bytes each, the sink last. */
  #tableOf(program: ScoreProgram): { readonly address: number; readonly count: number } {
    const count = program.head.length + 1;
    const known = this.#tables.get(program);
    if (known !== undefined) return { address: known, count };
    const { heads } = this.sizes;
    const address = this.takeFloats(heads * count);
    const view = this.view(address, heads * count);
    for (let head = 0; head < heads; head++) {
      view.set(
        [...headTable(program, this.#headNumbers(head)), this.normaliserParameter(head) ?? 0],
        head * count,
      );
    }
    this.#tables.set(program, address);
    return { address, count };
  }

  #headNumbers(head: number): Record<string, number> {
    const { similarity, normaliser } = this.composition;
    const numbers: Record<string, number> = { guard };
    for (const { name } of similarity.parameters) {
      if (name !== similarity.metric) numbers[name] = this.parameters[name].data[head];
    }
    if (normaliser.name === "sigmoid") {
      const own = this.normaliserParameter(head) ?? 0;
      const isFixed = typeof normaliser.options["bias"] === "number";
      numbers[sigmoidBias] = isFixed ? own : own - Math.log(this.sizes.keys);
    }
    return numbers;
  }

  /** What all records of a head share, for a program. */
  headRecord(rows: HeadRows, program: ScoreProgram): HeadRecord {
    const { inputs, sizes, kernel, paddedQueries, paddedKeys } = this;
    const { spec } = kernel;
    const { batch, head, number, keyRows, valueRows } = rows;
    const { address, count } = this.#tableOf(program);
    const { mask, bias } = inputs;
    const queryRow = number * paddedQueries;
    const keyRow = keyRows * paddedKeys;
    const segments = spec.segments.length;
    return {
      query: this.query + 4 * queryRow * spec.rowWidth,
      key: this.key + 4 * keyRow * spec.rowWidth,
      packedKey: this.packedKey + 4 * keyRow * spec.rowWidth,
      value: this.value + 4 * valueRows * paddedKeys * spec.paddedValueWidth,
      out: this.out + 4 * queryRow * spec.paddedValueWidth,
      logSumExp: this.logSumExp + 4 * queryRow,
      winner: this.winner + 4 * queryRow * spec.paddedValueWidth,
      queryNorm: this.queryNorm + 4 * queryRow * segments,
      queryNormStride: 4 * paddedQueries,
      keyNorm: this.keyNorm + 4 * keyRow * segments,
      keyNormStride: 4 * paddedKeys,
      threshold: this.threshold + 4 * queryRow,
      tie: this.tie + 4 * queryRow,
      keep: this.composition.selection.limit ?? 0,
      head: address + 4 * head * count,
      limit: inputs.keyLengths?.[batch] ?? this.virtual.keys,
      masks: this.#lists[this.#plans.length === 1 ? 0 : number].masks,
      mask: mask === undefined ? 0 : this.#mask + pairPlace(mask.shape, batch, head, 0, 0),
      maskStride: sizes.keys,
      bias: bias === undefined ? 0 : this.#bias + 4 * pairPlace(bias.shape, batch, head, 0, 0),
      biasStride: 4 * sizes.keys,
      table: this.#tableAt(head),
    };
  }

  /** Where a head's bias of j − i = 0 lies. */
  #tableAt(head: number): number {
    const table = this.#stored?.table;
    if (table !== undefined) {
      return table.address + 4 * (head * table.length + table.origin - (this.inputs.offset ?? 0));
    }
    return this.#table === 0
      ? 0
      : this.#table + 4 * (head * this.distances().length + this.sizes.queries - 1);
  }

  /** Runs a phase of tasks; `isSmall` says that waking other threads would take longer than the tasks do. */
  run(task: Task, records: readonly TaskRecord[], isSmall = false): void {
    runTasks(this.engine, task, recordFields, records, {
      kernel: this.kernel,
      scratch: this.#scratch,
      scratchBytes: this.#scratchBytes,
      isSmall,
    });
  }

  /** Records of all row tiles of all heads, long lists first within a head. */
  rowTileRecords(program: ScoreProgram): RowTileRecord[] {
    const { virtual } = this;
    const perPlan = this.#plans.map(({ tiles }, index) => {
      const counts = rowTileCounts(tiles());
      const order = counts.map((_, tile) => tile).toSorted((a, b) => counts[b] - counts[a] || a - b);
      return { counts, order, rowStart: tiles().rowStart, rowEntries: this.#lists[index].rowEntries };
    });
    return this.heads.flatMap((rows) => {
      const shared = this.headRecord(rows, program);
      const { counts, order, rowStart, rowEntries } = perPlan[perPlan.length === 1 ? 0 : rows.number];
      return order.map((tile) => ({
        shared,
        firstRow: tile * tileRows,
        rows: Math.min(tileRows, virtual.queries - tile * tileRows),
        tiles: rowEntries + 8 * rowStart[tile],
        tileCount: counts[tile],
      }));
    });
  }
}
