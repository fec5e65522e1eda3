/**
 * @file The code of experts, out_m = Σ_j g_mj·down·f(gate·x_m, up·x_m) over a token's experts: rows that go to the same expert
 * are gathered in blocks, and a block goes through all products of its expert while it is in the cache. Blocks are turned,
 * tokens along the lanes, so that weights are read as they are: nothing that is done once per expert is more than reading it.
 */
import {
  defineFunction,
  type FunctionBuilder,
  i32,
  type Integer,
  type Local,
  type Value,
  type WasmFunction,
  type WasmModule,
} from "../assembler/assembler.ts";
import { mostPages } from "../engine/tasks.ts";
import {
  addPartsTask,
  expertField,
  gatherFunction,
  joinTask,
  panelFunction,
  pullGatesTask,
  transposeFunction,
} from "./expert-rows.ts";
import { activateFunction, type FeedForwardSpec, slopesFunction } from "../dense/feed-forward-kernel.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { type TileProduct, tileProduct } from "../assembler/micro-kernel.ts";

/** Everything that the code depends on. */
export type ExpertSpec = Omit<FeedForwardSpec, "norm" | "epsilon">;

/** Rows of an expert that go through all its products at a time; a block's columns when it is turned. */
export const expertBlockRows = 96;
/** Between the lines of a turned block: a multiple of 8 whose bytes spread over the sets of a cache. */
const stride = expertBlockRows + 8;
/** Rows of a weight that meet all tokens of a block before the next ones are read. */
const weightRows = 64;

/** Places in one thread's scratch memory, in bytes. */
function scratchOf({ width, hidden }: Pick<ExpertSpec, "width" | "hidden">) {
  const rows = 4 * expertBlockRows * roundUp(width, 8);
  const turned = 4 * stride * roundUp(hidden, 8);
  return {
    rows: 0,
    panels: rows,
    gradientRows: 2 * rows,
    gradientPanels: 3 * rows,
    gate: 4 * rows,
    up: 4 * rows + turned,
    hidden: 4 * rows + 2 * turned,
    out: 4 * rows + 3 * turned,
    bytes: 4 * rows + 3 * turned + 4 * stride * roundUp(width, 8),
  };
}

/** Bytes of one thread's scratch memory: a block's rows and gradients twice, three times hidden, and its output turned. */
export const expertScratchBytes = (sizes: Pick<ExpertSpec, "width" | "hidden">): number =>
  scratchOf(sizes).bytes;

/** The module: tasks `expertForward`, `expertBackward`, `addExpertParts`, `transposeExpert`, `joinExperts`, `pullGates`. */
export function expertModule(spec: ExpertSpec): WasmModule {
  const { kind, relaxed, shared } = spec;
  const [width, hidden] = [roundUp(spec.width, 8), roundUp(spec.hidden, 8)];
  const places = scratchOf(spec);
  const product = (
    name: string,
    comment: string,
    shape: Pick<TileProduct, "a" | "b" | "c" | "steps" | "columns" | "start">,
  ): WasmFunction => tileProduct(relaxed, { name, comment, ...shape, step: "multiply" });
  const turned = { columns: "given", c: { row: stride }, start: "zero" } as const;
  const panels = { step: 8, panel: 8 * width };
  const widen = product("toHidden", "hᵀ = W·xᵀ, x in panels", {
    ...turned,
    a: { row: width, step: 1 },
    b: panels,
    steps: width,
  });
  const narrow = product("fromHidden", "outᵀ = W·hᵀ", {
    ...turned,
    a: { row: hidden, step: 1 },
    b: { step: stride, panel: 8 },
    steps: hidden,
  });
  const pullHidden = product("hiddenGradient", "dhᵀ = Wᵀ·doutᵀ, dout in panels", {
    ...turned,
    a: { row: 1, step: hidden },
    b: panels,
    steps: width,
  });
  const pullInput = (name: string, start: "zero" | "add"): WasmFunction =>
    product(name, "dx_m = Σ_h dh_m·W_h", {
      a: { row: 1, step: stride },
      b: { step: width, panel: 8 },
      c: { row: width },
      steps: hidden,
      columns: width,
      start,
    });
  const pullWeight = (name: string, start: "zero" | "add"): WasmFunction =>
    product(name, "dW = Σ_m dh_m ⊗ x_m", {
      a: { row: stride, step: 1 },
      b: { step: width, panel: 8 },
      c: { row: width },
      steps: "given",
      columns: width,
      start,
    });
  const [startInput, addInput] = [pullInput("startInput", "zero"), pullInput("addInput", "add")];
  const [startWeight, addWeight] = [pullWeight("startWeight", "zero"), pullWeight("addWeight", "add")];
  const activate = activateFunction(kind, relaxed);
  const slopes = slopesFunction(kind, relaxed);
  const gather = gatherFunction("gather", width, false, relaxed);
  const gatherWeighed = gatherFunction("gatherWeighed", width, true, relaxed);
  const pack = panelFunction(width, relaxed);
  const transpose = transposeFunction(relaxed);

  /** Runs `use` for the weight's rows in pieces that stay in the cache while all tokens of the block meet them. */
  const inPieces = (b: FunctionBuilder, rows: number, use: (first: Local, count: Local) => void): void => {
    const first = b.local("i32", "firstRow");
    b.for(first, 0, rows, weightRows, () => {
      use(first, b.let("pieceRows", i32.min(i32.sub(rows, first), weightRows)));
    });
  };
  /** Fills the turned blocks of gate (SwiGLU) and up. */
  const project = (b: FunctionBuilder, record: Local, scratch: Local, rows: Local): void => {
    const x = b.let("xPanels", i32.add(scratch, places.panels));
    const weights = kind === "swiglu" ? (["gate", "up"] as const) : (["up"] as const);
    for (const name of weights) {
      const weight = b.let(name, expertField(record, name));
      inPieces(b, hidden, (first, count) => {
        const to = i32.add(i32.add(scratch, places[name]), i32.mul(first, 4 * stride));
        b.call(widen, i32.add(weight, i32.mul(first, 4 * width)), x, to, count, rows, 0, 0);
      });
    }
  };
  const eachLine = (b: FunctionBuilder, use: (at: Local) => void): void => {
    const line = b.local("i32", "line");
    b.for(line, 0, 4 * stride * hidden, 4 * stride, () => use(line));
  };
  const at = (scratch: Local, name: keyof typeof places, offset: Integer = 0): Value =>
    i32.add(i32.add(scratch, places[name]), offset);

  const forward = defineFunction(
    "expertForward",
    "what an expert makes of a block of its rows",
    ["record", "scratch"],
    relaxed,
    (b, record, scratch) => {
      const rows = b.let("rows", expertField(record, "rows"));
      b.call(
        gather,
        expertField(record, "tokens"),
        expertField(record, "input"),
        at(scratch, "rows"),
        rows,
        0,
      );
      b.call(pack, at(scratch, "rows"), at(scratch, "panels"), rows);
      project(b, record, scratch, rows);
      eachLine(b, (line) => {
        const gate = b.let("gateLine", at(scratch, "gate", line));
        b.call(activate, gate, at(scratch, "up", line), gate, i32.mul(rows, 4));
      });
      const down = b.let("down", expertField(record, "down"));
      inPieces(b, width, (first, count) => {
        const to = at(scratch, "out", i32.mul(first, 4 * stride));
        const weight = i32.add(down, i32.mul(first, 4 * hidden));
        b.call(narrow, weight, at(scratch, "gate"), to, count, rows, 0, 0);
      });
      b.call(transpose, at(scratch, "out"), expertField(record, "out"), width, rows, 4 * stride, 4 * width);
    },
  );
  const backward = defineFunction(
    "expertBackward",
    "dx of some blocks of an expert's rows, and their part of the gradients of its weights",
    ["record", "scratch"],
    relaxed,
    (b, record, scratch) => {
      const total = b.let("total", expertField(record, "rows"));
      const down = b.let("down", expertField(record, "down"));
      const first = b.local("i32", "first");
      const weightGradients = [
        { turned: "up", rows: "rows", gradient: "upGradient" },
        { turned: "hidden", rows: "gradientRows", gradient: "downGradient" },
        ...(kind === "swiglu" ? [{ turned: "gate", rows: "rows", gradient: "gateGradient" } as const] : []),
      ] as const;
      b.for(first, 0, total, expertBlockRows, () => {
        const rows = b.let("rows", i32.min(i32.sub(total, first), expertBlockRows));
        const tokens = b.let("tokens", i32.add(expertField(record, "tokens"), i32.mul(first, 4)));
        const weights = i32.add(expertField(record, "weights"), i32.mul(first, 4));
        b.call(gather, tokens, expertField(record, "input"), at(scratch, "rows"), rows, 0);
        const gradientRows = at(scratch, "gradientRows");
        b.call(gatherWeighed, tokens, expertField(record, "outGradient"), gradientRows, rows, weights);
        b.call(pack, at(scratch, "rows"), at(scratch, "panels"), rows);
        b.call(pack, at(scratch, "gradientRows"), at(scratch, "gradientPanels"), rows);
        project(b, record, scratch, rows);
        inPieces(b, hidden, (piece, count) => {
          const to = at(scratch, "hidden", i32.mul(piece, 4 * stride));
          const weight = i32.add(down, i32.mul(piece, 4));
          b.call(pullHidden, weight, at(scratch, "gradientPanels"), to, count, rows, 0, 0);
        });
        eachLine(b, (line) => {
          const [gate, up] = (["gate", "up"] as const).map((name) =>
            b.let(`${name}Line`, at(scratch, name, line)),
          );
          b.call(slopes, gate, up, at(scratch, "hidden", line), gate, up, i32.mul(rows, 4));
        });
        const pullWeights = (product: WasmFunction): void => {
          for (const { turned, rows: name, gradient } of weightGradients) {
            b.call(
              product,
              at(scratch, turned),
              at(scratch, name),
              expertField(record, gradient),
              hidden,
              0,
              rows,
              0,
            );
          }
        };
        b.if(
          i32.equal(first, 0),
          () => pullWeights(startWeight),
          () => pullWeights(addWeight),
        );
        const dx = b.let("dx", i32.add(expertField(record, "inputGradient"), i32.mul(first, 4 * width)));
        b.call(startInput, at(scratch, "up"), expertField(record, "up"), dx, rows, 0, 0, 0);
        if (kind === "swiglu") {
          b.call(addInput, at(scratch, "gate"), expertField(record, "gate"), dx, rows, 0, 0, 0);
        }
      });
    },
  );
  const tasks = [
    forward,
    backward,
    addPartsTask(relaxed),
    defineFunction(
      "transposeExpert",
      "the gradient of down as it is stored, [width, hidden]",
      ["record", "scratch"],
      relaxed,
      (b, record) => {
        b.call(
          transpose,
          expertField(record, "from"),
          expertField(record, "to"),
          hidden,
          width,
          4 * width,
          4 * hidden,
        );
      },
    ),
    joinTask(width, relaxed),
    pullGatesTask(width, relaxed),
  ];
  return {
    header: [
      `qklab experts ${kind}: width ${spec.width}, hidden ${spec.hidden}; ${relaxed ? "relaxed" : "plain"} SIMD`,
    ],
    functions: [
      widen,
      narrow,
      pullHidden,
      startInput,
      addInput,
      startWeight,
      addWeight,
      activate,
      slopes,
      gather,
      gatherWeighed,
      pack,
      transpose,
      ...tasks,
    ],
    exports: tasks.map(({ name }) => name),
    memory: { minimum: 1, maximum: mostPages, shared },
  };
}
