/**
 * @file A phase of linear maps over some rows as the records of its tasks. Token after token the same weights meet rows at the same
 * places, so the records of few rows are kept until something about them is another.
 */
import { ShapeError } from "../../../base/errors.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { codeOf } from "../dense/dense-call.ts";
import { type KernelCode, type WasmEngine } from "../engine/engine.ts";
import { type RecordFields, writtenRecords } from "../engine/task-records.ts";
import { type KeptLinear } from "./kept-weights.ts";
import {
  blockOutputs,
  blockRows,
  type LinearField,
  linearFields,
  type LinearFinish,
  linearModule,
  linearScratchBytes,
  panelBytes,
  tileRows,
} from "./linear-kernel.ts";

/** Rows in the engine's memory, padded with zeros to a multiple of eight numbers. */
export interface Rows {
  readonly address: number;
  readonly width: number;
}

/** A map, where its outputs go, and the map whose silu is a factor of them. */
export interface RowsProduct {
  readonly map: KeptLinear;
  readonly out: Rows;
  readonly gate?: KeptLinear | undefined;
}

/** What a phase computes; rows are padded. */
interface LinearWork {
  readonly finish: LinearFinish;
  readonly rows: number;
  readonly input: Rows;
  readonly products: readonly RowsProduct[];
}

/** A phase, ready to be run. */
interface LinearPhase extends LinearWork {
  readonly kernel: KernelCode;
  readonly records: Int32Array;
  readonly scratchBytes: number;
  readonly isSmall: boolean;
}

/** Products of a phase, from which on other threads are woken for it: fewer are done before they are awake. */
export const productsWorthWaking = 100_000;

/** The last phase of few rows by its first map, which belongs to one engine and is another when it is kept again. */
const lastPhases = new WeakMap<KeptLinear, LinearPhase>();

/** The phase of some work. */
export function linearPhase(engine: WasmEngine, work: LinearWork): LinearPhase {
  const [{ map }] = work.products;
  const last = lastPhases.get(map);
  if (last !== undefined && isSame(last, work)) return last;
  const phase = writePhase(engine, work);
  if (work.rows < tileRows) lastPhases.set(map, phase);
  return phase;
}

function isSame(one: LinearWork, other: LinearWork): boolean {
  return (
    one.finish === other.finish &&
    one.rows === other.rows &&
    one.input.address === other.input.address &&
    one.input.width === other.input.width &&
    one.products.length === other.products.length &&
    one.products.every(({ map, out, gate }, index) => {
      const product = other.products[index];
      return map === product.map && gate === product.gate && out.address === product.out.address;
    })
  );
}

function writePhase(engine: WasmEngine, work: LinearWork): LinearPhase {
  const { finish, rows, input, products } = work;
  const { relaxed, shared } = engine;
  const [{ map: first }] = products;
  const { kind } = first;
  for (const { map } of products) {
    requireWidth("a linear map", map.inputs, input.width);
    if (map.kind !== kind) refuseKinds(first, map);
  }
  const inputs = roundUp(input.width, 8);
  const kernel = codeOf(engine, `linear ${kind} ${inputs} ${finish}`, () =>
    engine.compile(linearModule({ kind, inputs, finish, relaxed, shared })),
  );
  const records = runsOf(rows, blockRows).flatMap(([firstRow, count]) =>
    products.flatMap((product) =>
      recordsOf(product, { firstRow, rows: count, input: input.address, inputs }),
    ),
  );
  const columns = products.reduce(
    (sum, { map, gate }) => sum + map.outputs * (gate === undefined ? 1 : 2),
    0,
  );
  return {
    ...work,
    kernel,
    records: writtenRecords("linear", linearFields, records),
    scratchBytes: roundUp(linearScratchBytes(inputs), 64),
    isSmall: rows * inputs * columns < productsWorthWaking,
  };
}

/** The tasks of some rows: blocks of outputs. */
function recordsOf(
  { map, out, gate }: RowsProduct,
  { firstRow, rows, input, inputs }: Readonly<Record<"firstRow" | "rows" | "input" | "inputs", number>>,
): RecordFields<LinearField>[] {
  const outputs = roundUp(map.outputs, 8);
  const panel = panelBytes(map.kind, inputs) / 8;
  const placesOf = ({ weight, scale, bias, zero }: KeptLinear, first: number) => ({
    weight: weight + first * panel,
    scale: scale + 4 * first,
    bias: bias + 4 * first,
    zero,
  });
  return runsOf(outputs, blockOutputs).map(([first, count]) => {
    const other = gate === undefined ? undefined : placesOf(gate, first);
    return {
      rows,
      outputs: count,
      input: input + 4 * firstRow * inputs,
      out: out.address + 4 * (firstRow * outputs + first),
      outRow: 4 * outputs,
      ...placesOf(map, first),
      ...(other === undefined
        ? {}
        : {
            gateWeight: other.weight,
            gateScale: other.scale,
            gateBias: other.bias,
            gateZero: other.zero,
          }),
    };
  });
}

/** Runs of at most `size` of `count`. */
export function runsOf(count: number, size: number): (readonly [first: number, count: number])[] {
  return Array.from({ length: Math.ceil(count / size) }, (_, index) => {
    const first = index * size;
    return [first, Math.min(size, count - first)] as const;
  });
}

/** @throws ShapeError `linear-shape` */
export function requireWidth(what: string, wanted: number, width: number): void {
  if (wanted === width) return;
  throw new ShapeError(
    "linear-shape",
    `Cannot compute rows as ${what} must have their width: ${wanted} and ${width}. Pass what the model was made for`,
  );
}

function refuseKinds(one: KeptLinear, other: KeptLinear): never {
  throw new ShapeError(
    "linear-shape",
    `Cannot compute several maps at once as their weights must be of one kind: ${one.kind} and ${other.kind}. ` +
      "Compute them one by one",
  );
}
