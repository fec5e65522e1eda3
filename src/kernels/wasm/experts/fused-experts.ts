/** @file Forward and backward of experts on an engine: phases of tasks over rows sorted by expert. */
import { ShapeError } from "../../../base/errors.ts";
import { sizeOf, type Tensor } from "../../../base/tensor.ts";
import { type ExpertPlaces } from "../../javascript/expert-routing.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { ExpertCall, type ExpertInputs, type ExpertRecord } from "./expert-call.ts";
import { expertBlockRows } from "./expert-kernel.ts";

/** What a forward pass may be told. */
export interface ExpertOptions {
  /** Whether a backward pass will follow (default true); without, no state is kept for it. */
  readonly hasBackward?: boolean;
}

/** What a forward pass knows that its backward pass would compute again. */
export interface ExpertState {
  /** What experts made of their rows, sorted by expert, widths as the kernel pads them. */
  readonly rows: Float32Array;
}

/** All rows of a call are split into so many parts beside one an expert, each with its own gradients of the weights. */
const mostParts = 8;
/** What blocks are cut to: an expert's rows fill some of about this size, not one more with what is left over. */
const evenBlockRows = 64;

/**
 * out_m = Σ_j g_mj·expert_j(x_m) over the experts that take token m; no other expert is computed, and the weights of an expert
 * without tokens are not read. An expert is down·(silu(gate·x)⊙up·x), or down·gelu(up·x) without a gate.
 *
 * @param engine - what computes it
 * @param places - which experts tokens go to, see `routeTokens`
 * @returns [M, width], and what the backward pass can use again
 * @throws ShapeError `expert-shape` for inputs that do not fit; UnsupportedError `memory` beyond 4 GiB
 * @example
 * ```ts
 * import { tensor } from "qklab";
 * import { fusedExperts, openEngine } from "qklab/wasm";
 * const engine = await openEngine({ threads: 1 });
 * const [x, gates] = [tensor([1, 2, 3, 4], [2, 2]), tensor([1, 1], [2, 1])];
 * const [up, down] = [tensor([1, 0, 0, 1], [2, 1, 2]), tensor([1, 0, 0, 1], [2, 2, 1])];
 * const places = { experts: 2, choices: 1, chosen: Int32Array.of(1, 0), places: Int32Array.of(0, 0) };
 * fusedExperts(engine, { x, gates, up, down }, places).out.shape; // [2, 2]
 * engine.close();
 * ```
 */
export function fusedExperts(
  engine: WasmEngine,
  inputs: ExpertInputs,
  places: ExpertPlaces,
  { hasBackward = true }: ExpertOptions = {},
): { readonly out: Tensor; readonly state?: ExpertState } {
  return inCall(engine, inputs, places, (call) => {
    const sortedOut = call.takeSorted();
    call.run(
      "expertForward",
      call.blocks(evenBlockRows).map(({ expert, first, rows }) => ({
        ...call.weightsOf(expert),
        rows,
        tokens: call.tokens + 4 * first,
        input: call.input,
        out: call.row(sortedOut, first),
      })),
    );
    const out = call.join(sortedOut, call.gates);
    const result = { out: call.readRows(out, inputs.x.shape) };
    if (!hasBackward) return result;
    return {
      ...result,
      state: { rows: new Float32Array(call.view(sortedOut, call.sorted.count * call.width)) },
    };
  });
}

/**
 * Gradients of Σ out·dOut by every input.
 *
 * @param dOut - [M, width]
 * @param state - of the forward pass of the same inputs and places
 */
export function fusedExpertsBackward(
  engine: WasmEngine,
  inputs: ExpertInputs,
  places: ExpertPlaces,
  dOut: Tensor,
  state: ExpertState,
): ExpertInputs {
  return inCall(engine, inputs, places, (call) => {
    const { width, hidden } = call;
    const outGradient = call.copyTokens(dOut);
    const sortedOut = call.takeSorted();
    call.view(sortedOut, state.rows.length).set(state.rows);
    const inputGradient = call.takeSorted();
    const parts = call.blocks(Math.max(expertBlockRows, Math.ceil(call.sorted.count / mostParts)));
    const names = inputs.gate === undefined ? (["up", "down"] as const) : (["up", "down", "gate"] as const);
    const size = width * hidden;
    // The first part of every expert has its place; further ones lie behind, in their order.
    const firstParts = parts.map(({ expert }, part) => part === 0 || parts[part - 1].expert !== expert);
    const further = firstParts.filter((isFirst) => !isFirst).length;
    const gradients = Object.fromEntries(
      names.map((name) => [
        name,
        { address: call.takeFloats(call.experts * size), further: call.takeFloats(further * size) },
      ]),
    ) as Record<(typeof names)[number], { readonly address: number; readonly further: number }>;
    let used = 0;
    const partPlaces = parts.map((part, index) => ({
      ...part,
      isFirst: firstParts[index],
      place: firstParts[index] ? part.expert : used++,
    }));
    call.run(
      "expertBackward",
      partPlaces.map(({ expert, first, rows, isFirst, place }) => ({
        ...call.weightsOf(expert),
        rows,
        tokens: call.tokens + 4 * first,
        weights: call.sortedGates + 4 * first,
        input: call.input,
        outGradient,
        inputGradient: call.row(inputGradient, first),
        ...Object.fromEntries(
          names.map((name) => {
            const { address, further } = gradients[name];
            return [`${name}Gradient`, (isFirst ? address : further) + 4 * place * size];
          }),
        ),
      })),
    );
    call.run(
      "addExpertParts",
      names.flatMap((name) =>
        partPlaces.flatMap(({ expert, isFirst }, index): ExpertRecord[] => {
          const others = partPlaces.slice(index + 1).filter((part) => part.expert === expert);
          if (!isFirst || others.length === 0) return [];
          const { address, further } = gradients[name];
          return [
            {
              to: address + 4 * expert * size,
              from: further + 4 * others[0].place * size,
              bytes: 4 * size,
              count: others.length,
              stride: 4 * size,
            },
          ];
        }),
      ),
    );
    const down = call.takeFloats(call.experts * size);
    call.run(
      "transposeExpert",
      call.busyExperts.map((expert) => ({
        from: gradients.down.address + 4 * expert * size,
        to: down + 4 * expert * size,
      })),
    );
    const dx = call.join(inputGradient, call.ones());
    const gatesGradient = call.takeFloats(sizeOf(inputs.gates.shape));
    call.runOnTokens("pullGates", (first) => ({
      from: sortedOut,
      outGradient: call.row(outGradient, first),
      gatesGradient: gatesGradient + 4 * first * places.choices,
    }));
    return {
      x: call.readRows(dx, inputs.x.shape),
      gates: {
        data: new Float32Array(call.view(gatesGradient, sizeOf(inputs.gates.shape))),
        shape: inputs.gates.shape,
      },
      ...(inputs.gate === undefined
        ? {}
        : { gate: call.readWeights(gradients.gate.address, inputs.gate.shape) }),
      up: call.readWeights(gradients.up.address, inputs.up.shape),
      down: call.readWeights(down, inputs.down.shape),
    };
  });
}

function inCall<T>(
  engine: WasmEngine,
  inputs: ExpertInputs,
  places: ExpertPlaces,
  use: (call: ExpertCall) => T,
): T {
  requireFitting(inputs, places);
  const { mark } = engine.arena;
  try {
    return use(new ExpertCall(engine, inputs, places));
  } finally {
    engine.arena.giveBack(mark);
  }
}

function requireFitting({ x, gates, gate, up, down }: ExpertInputs, places: ExpertPlaces): void {
  const [tokens, width] = x.shape;
  const [, hidden] = up.shape;
  const fits = ({ shape }: Tensor, ...wanted: readonly number[]): boolean =>
    shape.length === wanted.length && shape.every((extent, axis) => extent === wanted[axis]);
  const { experts, choices } = places;
  const isRight =
    x.shape.length === 2 &&
    fits(gates, tokens, choices) &&
    places.chosen.length === tokens * choices &&
    fits(up, experts, hidden, width) &&
    fits(down, experts, width, hidden) &&
    (gate === undefined || fits(gate, experts, hidden, width));
  if (isRight) return;
  const shapes = Object.entries({ x, gates, gate, up, down }).flatMap(([name, tensor]) =>
    tensor === undefined ? [] : [`${name} [${tensor.shape.join(", ")}]`],
  );
  throw new ShapeError(
    "expert-shape",
    `Cannot feed ${experts} experts as x must be [M, width], gates [M, ${choices}], gate and up [${experts}, hidden, width], ` +
      `down [${experts}, width, hidden]: ${shapes.join(", ")}. Reshape x to rows, and pass weights as [experts, out, in]`,
  );
}
