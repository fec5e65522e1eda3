/** @file The whole module of a kernel: preparation, forward, what extras need, backward. */
import { variablesOf } from "../../../score/index.ts";
import { termVariables } from "../../../similarities/index.ts";
import { type WasmFunction, type WasmModule } from "../assembler/assembler.ts";
import { backwardPass } from "./backward-kernel.ts";
import { slopeProgram } from "./slopes-kernel.ts";
import { rowTermFunction } from "./finish-rows.ts";
import { rowTilePass } from "./forward-kernel.ts";
import { joinPartsFunction } from "./join-parts.ts";
import { type KernelSpec } from "./kernel-spec.ts";
import { type Emission } from "./pair-code.ts";
import { preparationFunctions } from "./preparation-kernel.ts";
import { rotateFunction } from "./rotation-kernel.ts";
import { type ScoreProgram, scoreProgram } from "../score/score-program.ts";
import { scoreTile } from "./score-tile.ts";
import { type ScratchLayout, scratchLayout } from "../engine/scratch.ts";

/** The tasks that kernels can run, those of other modules among them, by the function's name; a record's `task` is the place in this list. */
export const tasks = [
  "packKeys",
  "packValues",
  "queryNorms",
  "keyNorms",
  "select",
  "forward",
  "joinParts",
  "rowTerms",
  "scores",
  "delta",
  "backward",
  "sumChunks",
  "rotate",
  "packWide",
  "packHidden",
  "feedForward",
  "feedForwardBackward",
  "sumParts",
  "project",
  "projectBackward",
  "merge",
  "mergeBackward",
  "loss",
  "decays",
  "writeChunk",
  "scan",
  "readChunk",
  "chunkStateGradient",
  "chunkGradients",
  "step",
  "expertForward",
  "expertBackward",
  "addExpertParts",
  "transposeExpert",
  "joinExperts",
  "pullGates",
  "products",
  "nearest",
  "largest",
  "copyRows",
  "copyNumbers",
  "addCopies",
  "joinCopies",
  "foundBits",
] as const;
export type Task = (typeof tasks)[number];

/** A kernel before it is encoded: its module and the numbers that its records need. */
export interface EmittedKernel {
  readonly module: WasmModule;
  readonly layout: ScratchLayout;
  /** The programs whose head tables a record points to. */
  readonly forward: ScoreProgram;
  readonly full: ScoreProgram;
  /** The row's own part, where softmax leaves one out. */
  readonly rowTerm: ScoreProgram | undefined;
  readonly slopes: ScoreProgram;
  /** Whether scores, those that softmax does not see among them, read squared norms of rows. */
  readonly readsNorms: { readonly queries: boolean; readonly keys: boolean };
}

/** Most pages of 64 KiB that a memory may grow to: 4 GiB. */
export const mostPages = 65_536;

/** What a kernel says of itself above its text. */
function headerOf(spec: KernelSpec): string[] {
  const { segments, score, weighing, valueWidth, relaxed } = spec;
  const inner = segments.map(
    ({ inner, start, stop }, index) => `${termVariables(index).inner} = ${inner}[${start}, ${stop})`,
  );
  return [
    `qklab kernel ${hashOf(spec)}: ${weighing} of s_ij = ${String(score)}`,
    `inner: ${inner.join(", ")}; values of ${valueWidth} numbers; ${relaxed ? "relaxed" : "plain"} SIMD; emitted by src/kernels/wasm`,
  ];
}

/** What names a kernel: FNV-1a over all that its code depends on. */
export function hashOf({ score, rowScore, fullScore, ...rest }: KernelSpec): string {
  const text = [score, rowScore, fullScore].map(String).join() + JSON.stringify(rest);
  let hash = 0x811c9dc5;
  for (const character of text) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

export function emitKernel(spec: KernelSpec): EmittedKernel {
  const forward = scoreProgram([spec.score], spec);
  const full = scoreProgram([spec.score, spec.fullScore], spec);
  const rowTerm = spec.rowScore === undefined ? undefined : scoreProgram([spec.rowScore], spec);
  const slopes = slopeProgram(spec).program;
  const crossing = [forward, full, slopes].flatMap(({ rows, keys }) => [rows.length, keys.length]);
  const layout = scratchLayout(spec, Math.max(...crossing));
  const emission: Emission = { spec, layout };
  const scores = scoreTile(spec, layout);
  const functions: readonly WasmFunction[] = [
    ...preparationFunctions(spec),
    ...(spec.rotation === undefined ? [] : [rotateFunction(spec.rotation, spec)]),
    ...scores.functions,
    ...(spec.selects ? rowTilePass("select", "select", forward, scores, emission).functions : []),
    ...rowTilePass("forward", "weigh", forward, scores, emission).functions,
    joinPartsFunction(forward, emission),
    ...(rowTerm === undefined ? [] : [rowTermFunction(rowTerm, emission)]),
    ...rowTilePass("scores", "store", full, scores, emission).functions,
    ...backwardPass(scores, emission).functions,
  ];
  const names = new Set(functions.map(({ name }) => name));
  return {
    module: {
      header: headerOf(spec),
      functions,
      exports: tasks.filter((task) => names.has(task)),
      memory: { minimum: 1, maximum: mostPages, shared: spec.shared },
    },
    layout,
    forward,
    full,
    rowTerm,
    slopes,
    readsNorms: readsNorms(spec),
  };
}

function readsNorms({ fullScore, rowScore }: KernelSpec): EmittedKernel["readsNorms"] {
  const names = [...variablesOf(rowScore === undefined ? fullScore : fullScore.add(rowScore))];
  const reads = (prefix: string): boolean => names.some((name) => name.startsWith(prefix));
  return { queries: reads("q2"), keys: reads("k2") };
}
