/**
 * @file @ruvector/attention as a contestant: softmax over −β·d of points of the Poincaré ball, joined by the Fréchet mean.
 * Its asynchronous call, one a query, uses all cores and takes about half the time of the synchronous one.
 *
 * Our inputs are tangent vectors at the origin (q, k) and space parts of points of the hyperboloid (v); here they become
 * points of the ball, and the mean becomes a space part again.
 */
import { availableParallelism } from "node:os";
import { peerPackages } from "./peer-package.ts";
import { requireAttention, serve } from "./serve.ts";

/** What the package exports under Node; its type declarations name another interface. */
interface Ruvector {
  readonly computeHyperbolicAttentionAsync: (
    query: Float32Array,
    keys: readonly Float32Array[],
    values: readonly Float32Array[],
    width: number,
    curvature: number,
  ) => Promise<Float32Array>;
}

const curvature = 1;
const name = "@ruvector/attention";
const packages = peerPackages(process.argv[3]);
const ruvector = packages.load<Ruvector>(name);

await serve({
  describe: () => ({
    versions: { [name]: packages.version(name) },
    threads: availableParallelism(),
    notes: ["joins values by the Fréchet mean, which it iterates; ours is the Lorentz centroid"],
  }),
  async prepare(request, inputs) {
    const problem = requireAttention(request);
    if (problem.similarity !== "poincare" || problem.isCausal || problem.direction !== "forward") {
      throw new Error("it has the forward pass of Poincaré attention without a pattern only");
    }
    const { width, length, batch, heads } = problem;
    const headsOf = (data: Float32Array, toBall: (row: Float32Array) => Float32Array): Float32Array[][] =>
      Array.from({ length: batch * heads }, (_, head) =>
        Array.from({ length }, (_, place) => {
          const start = (head * length + place) * width;
          return toBall(data.subarray(start, start + width));
        }),
      );
    const q = headsOf(inputs.q, ballOfTangent);
    const k = headsOf(inputs.k, ballOfTangent);
    const v = headsOf(inputs.v, ballOfSpacePart);
    return {
      run: () =>
        Promise.all(
          q.flatMap((rows, head) =>
            rows.map((row) =>
              ruvector.computeHyperbolicAttentionAsync(row, k[head], v[head], width, curvature),
            ),
          ),
        ),
      read: (rows: readonly Float32Array[]) => {
        const out = new Float32Array(rows.length * width);
        rows.forEach((row, index) => out.set(spacePartOfBall(row), index * width));
        return { out };
      },
    };
  },
});

/** exp₀ v = tanh(‖v‖)·v/‖v‖ */
function ballOfTangent(row: Float32Array): Float32Array {
  const norm = Math.hypot(...row);
  return row.map((value) => (norm === 0 ? 0 : (Math.tanh(norm) / norm) * value));
}

/** x/(1 + √(1 + ‖x‖²)) */
function ballOfSpacePart(row: Float32Array): Float32Array {
  const divisor = 1 + Math.hypot(1, ...row);
  return row.map((value) => value / divisor);
}

/** 2y/(1 − ‖y‖²) */
function spacePartOfBall(row: Float32Array): Float32Array {
  const square = row.reduce((sum, value) => sum + value * value, 0);
  return row.map((value) => (2 * value) / (1 - square));
}
