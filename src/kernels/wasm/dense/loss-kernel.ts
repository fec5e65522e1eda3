/**
 * @file The code of the end of a language model: n = norm(x), logits z = table·n, losses ln Σ e^z − z_target, and in the same
 * pass the gradients of their mean, so that no logits leave the cache.
 */
import {
  defineFunction,
  f32x4,
  i32,
  type Value,
  type WasmFunction,
  type WasmModule,
} from "../assembler/assembler.ts";
import {
  blockRows,
  columnsOf,
  type DenseField,
  denseFields,
  denseModule,
  fieldReader,
  packTask,
  panelsOf,
  plain,
  productMaker,
  rowsOf,
  sumTask,
} from "./dense-code.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { type NormKind, normaliseFunction, pullNormFunction } from "./norm-code.ts";
import { expOfNonPositive, vectorOperations } from "../assembler/vector-math.ts";

/** Everything that the code depends on. */
export interface LossSpec {
  readonly norm: NormKind;
  /** ε of the norm. */
  readonly epsilon: number;
  readonly width: number;
  readonly vocabulary: number;
  readonly relaxed: boolean;
  readonly shared: boolean;
}

const ownFields = [
  "input",
  /** 0 where no gradients are asked for. */
  "inputGradient",
  "gain",
  "shift",
  "gainGradient",
  "shiftGradient",
  "table",
  "packed",
  "tableGradient",
  /** i32 for each row. */
  "targets",
  "losses",
  /** The gradient of each row's loss, f32; 0 for padding. */
  "weights",
] as const;
export type LossField = DenseField | (typeof ownFields)[number];
export const lossFields: readonly ("task" | LossField)[] = [...denseFields, ...ownFields];

const field = fieldReader(lossFields);

/** Bytes of one thread's scratch memory: blocks of normalised rows, of their gradients, and of logits. */
export const lossScratchBytes = ({ width, vocabulary }: Pick<LossSpec, "width" | "vocabulary">): number =>
  2 * blockBytes(width) + blockBytes(vocabulary);
const blockBytes = (width: number): number => 4 * blockRows * roundUp(width, 8);

/** The module: tasks `packWide`, `loss`, `sumParts`. */
export function lossModule(spec: LossSpec): WasmModule {
  const { norm, relaxed } = spec;
  const [width, vocabulary] = [roundUp(spec.width, 8), roundUp(spec.vocabulary, 8)];
  const product = productMaker(relaxed);
  const toLogits = product("toLogits", "z_m = table·n_m, the table in panels", {
    a: rowsOf(width),
    b: panelsOf(width),
    steps: width,
    columns: vocabulary,
    start: "zero",
  });
  const pullNormed = product("normedGradient", "dn_m = tableᵀ·dz_m", {
    a: rowsOf(vocabulary),
    b: plain(width),
    steps: vocabulary,
    columns: width,
    start: "zero",
  });
  const pullTable = product("tableGradient", "dtable += Σ_m dz_m ⊗ n_m", {
    a: columnsOf(vocabulary),
    b: plain(width),
    steps: "given",
    columns: width,
    start: "add",
  });
  const normalise = normaliseFunction(spec);
  const pullNorm = pullNormFunction({ ...spec, residual: false });
  const losses = lossesFunction(spec);

  const loss = defineFunction(
    "loss",
    "losses of some blocks of rows, their dx, and their part of the gradients of gain, shift and table",
    ["record", "scratch"],
    relaxed,
    (b, record, scratch) => {
      const normedGradient = b.let("normedGradient", i32.add(scratch, blockBytes(spec.width)));
      const logits = b.let("logits", i32.add(scratch, 2 * blockBytes(spec.width)));
      const inputGradient = b.let("inputGradient", field(record, "inputGradient"));
      const total = b.let("total", field(record, "rows"));
      const first = b.local("i32", "first");
      b.for(first, 0, total, blockRows, () => {
        const rows = b.let("rows", i32.min(i32.sub(total, first), blockRows));
        const place = b.let("place", i32.mul(first, 4 * width));
        const x = b.let("x", i32.add(field(record, "input"), place));
        b.call(normalise, x, field(record, "gain"), field(record, "shift"), scratch, rows);
        b.call(toLogits, scratch, field(record, "packed"), logits, rows, 0, 0, 0);
        const [targets, out, weights] = (["targets", "losses", "weights"] as const).map((name) =>
          i32.add(field(record, name), i32.mul(first, 4)),
        );
        b.call(losses, logits, targets, weights, out, rows);
        b.if(i32.notEqual(inputGradient, 0), () => {
          b.call(pullTable, logits, scratch, field(record, "tableGradient"), vocabulary, 0, rows, 0);
          b.call(pullNormed, logits, field(record, "table"), normedGradient, rows, 0, 0, 0);
          const [gain, gainGradient, shiftGradient] = (
            ["gain", "gainGradient", "shiftGradient"] as const
          ).map((name) => field(record, name));
          const dx = i32.add(inputGradient, place);
          b.call(pullNorm, x, gain, normedGradient, 0, dx, gainGradient, shiftGradient, rows);
        });
      });
    },
  );
  return denseModule(
    `loss after ${norm} norm: width ${spec.width}, vocabulary ${spec.vocabulary}`,
    spec,
    [toLogits, pullNormed, pullTable, normalise, pullNorm, losses],
    [packTask("packWide", width, relaxed), loss, sumTask(relaxed)],
  );
}

const lanes = 4;

/** `losses(z, targets, weights, out, rows)`: out = ln Σ e^z − z_target, z ← weight·(softmax z − one at the target). */
function lossesFunction({ vocabulary, relaxed }: LossSpec): WasmFunction {
  const rowBytes = 4 * roundUp(vocabulary, 8);
  const wholeBytes = 4 * (vocabulary - (vocabulary % lanes));
  const mask = f32x4.lanes(
    [0, 1, 2, 3].map((lane) => (lane < vocabulary % lanes ? -1 : 0)) as [number, number, number, number],
  );
  return defineFunction(
    "losses",
    "ln Σ e^z − z_target, and its gradient in the place of z",
    ["z", "targets", "weights", "out", "rows"],
    relaxed,
    (b, z, targets, weights, out, rows) => {
      const [row, at, place] = ["row", "at", "place"].map((name) => b.local("i32", name));
      const line = b.let("line", z);
      const largest = b.local("v128", "largest");
      const sum = b.local("v128", "sum");
      const hasRest = wholeBytes < 4 * vocabulary;
      const at4 = (address: Value): Value => i32.add(address, i32.mul(row, 4));
      b.for(row, 0, rows, 1, () => {
        b.set(largest, f32x4.constant(-Infinity));
        b.for(at, 0, wholeBytes, 16, () => b.set(largest, f32x4.max(largest, f32x4.load(i32.add(line, at)))));
        if (hasRest) {
          const rest = f32x4.select(f32x4.load(line, wholeBytes), f32x4.constant(-Infinity), mask);
          b.set(largest, f32x4.max(largest, rest));
        }
        b.set(largest, b.maxLanes(largest));
        b.set(place, i32.add(line, i32.mul(i32.load(at4(targets)), 4)));
        const right = b.let("right", f32x4.splatAt(place));
        b.set(sum, f32x4.constant(0));
        b.for(at, 0, wholeBytes, 16, () => {
          const here = b.let("here", i32.add(line, at));
          const mass = b.let("mass", expOfNonPositive(b, f32x4.sub(f32x4.load(here), largest)));
          b.store(here, mass);
          b.set(sum, f32x4.add(sum, mass));
        });
        if (hasRest) {
          const mass = expOfNonPositive(b, f32x4.sub(f32x4.load(line, wholeBytes), largest));
          const masked = b.let("masked", f32x4.and(mass, mask));
          b.store(line, masked, wholeBytes);
          b.set(sum, f32x4.add(sum, masked));
        }
        if (wholeBytes + (hasRest ? 16 : 0) < rowBytes) b.store(line, f32x4.constant(0), rowBytes - 16);
        b.set(sum, b.sumLanes(sum));
        const logarithm = b.let("logarithm", vectorOperations.log(b, sum, sum));
        b.storeLane(at4(out), f32x4.add(f32x4.sub(largest, right), logarithm), 0);
        const weight = b.let("weight", f32x4.splatAt(at4(weights)));
        const share = b.let("share", f32x4.div(weight, sum));
        b.for(at, 0, rowBytes, 16, () => {
          const here = b.let("here", i32.add(line, at));
          b.store(here, f32x4.mul(f32x4.load(here), share));
        });
        b.storeLane(place, f32x4.sub(f32x4.splatAt(place), weight), 0);
        b.set(line, i32.add(line, rowBytes));
      });
    },
  );
}
