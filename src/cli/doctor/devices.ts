/** @file Checks of the devices: a small attention on each, forward and backward, held against the reference. */
import {
  type AttentionBackend,
  compose,
  completeSelector,
  initialParameters,
  parseSelector,
  referenceForward,
} from "../../attention/index.ts";
import { random, type Tensor, tensor, tensor64, type Tensor64 } from "../../base/index.ts";
import { formatDuration } from "../../compare/format.ts";
import { type Device, type Job, onBackend, onReference, openJax, openWasm } from "../attend/devices.ts";
import { texts } from "../dictionary/doctor.ts";
import { type Check, plain } from "./check.ts";

const selectors = ["dot+rope+causal", "l2+causal", "poincare+full"];

/** float32 sums of a few dozen terms: some hundred units in the last place of the largest number. */
const float32Tolerance = 1e-4;
/** Error of a central difference with step 1e-5 in float64: its square, and rounding over it. */
const differenceTolerance = 1e-6;
const differenceStep = 1e-5;

/** The reference against finite differences, and every other device against the reference. */
export async function checkDevices(): Promise<Check[]> {
  const reference = await attempt("reference", referenceCheck);
  return [reference, ...(await checkDevice("jax", openJax)), ...(await checkDevice("wasm", openWasm))];
}

/** Whether a device starts, and what it computes when it does. */
async function checkDevice(name: "jax" | "wasm", open: () => Promise<AttentionBackend>): Promise<Check[]> {
  const startMs = performance.now();
  try {
    const backend = await open();
    const value = texts.started(formatDuration(performance.now() - startMs));
    return [
      { name, state: "ok", isNeeded: true, value },
      await attempt(`${name}Attention`, () => backendCheck(onBackend(backend))),
    ];
  } catch (error) {
    const value = plain(messageOf(error));
    return [{ name, state: "absent", isNeeded: true, value, cure: texts.cures.device }];
  }
}

async function attempt(
  name: "reference" | "jaxAttention" | "wasmAttention",
  check: () => Promise<Omit<Check, "name" | "isNeeded">>,
): Promise<Check> {
  try {
    return { name, isNeeded: true, ...(await check()) };
  } catch (error) {
    return {
      name,
      isNeeded: true,
      state: "failed",
      value: plain(messageOf(error)),
      cure: texts.cures.device,
    };
  }
}

/** The gradient by q of Σ out·dOut, against central differences. */
async function referenceCheck(): Promise<Omit<Check, "name" | "isNeeded">> {
  let worst = 0;
  for (const selector of selectors) {
    const job = jobOf(selector, true);
    const { dq } = await onReference(job);
    const { q } = job.inputs;
    for (let place = 0; place < q.data.length; place++) {
      const at = (step: number): number => {
        const moved = tensor64(Float64Array.from(q.data), q.shape);
        moved.data[place] = (moved.data[place] ?? 0) + step;
        const { out } = referenceForward(compose(job.spec), { ...job.inputs, q: moved });
        return out.data.reduce((sum, value, index) => sum + value * (job.dOut?.data[index] ?? 0), 0);
      };
      const difference = (at(differenceStep) - at(-differenceStep)) / (2 * differenceStep);
      worst = Math.max(worst, Math.abs(difference - (dq?.data[place] ?? Number.NaN)));
    }
  }
  const agrees = worst <= differenceTolerance;
  return {
    state: agrees ? "ok" : "failed",
    value: texts.gradients(worst.toExponential(1)),
    ...(agrees ? {} : { cure: texts.cures.device }),
  };
}

async function backendCheck(device: Device): Promise<Omit<Check, "name" | "isNeeded">> {
  let worst = 0;
  for (const selector of selectors) {
    const job = jobOf(selector, false);
    const [wanted, found] = [await onReference(job), await device(job)];
    for (const [name, tensor] of Object.entries(wanted))
      worst = Math.max(worst, relativeDifference(tensor, found[name]));
  }
  const agrees = worst <= float32Tolerance;
  return {
    state: agrees ? "ok" : "failed",
    value: texts.agrees(worst.toExponential(1), String(float32Tolerance)),
    ...(agrees ? {} : { cure: texts.cures.device }),
  };
}

/** Two query heads on one key head, odd sizes, a row that sees one key only. */
function jobOf(selector: string, isDouble: boolean): Job {
  const spec = completeSelector(parseSelector(selector), {});
  const draw = (name: string, shape: readonly number[]): Tensor =>
    tensor(random("doctor", name).normals(shape.reduce((a, b) => a * b)), shape);
  const [q, k, v] = [draw("q", [1, 2, 5, 4]), draw("k", [1, 1, 5, 4]), draw("v", [1, 1, 5, 3])];
  const parameters = initialParameters(compose(spec), { heads: 2, width: 4 });
  return {
    spec,
    inputs: { q, k, v, parameters },
    dOut: draw("dout", [1, 2, 5, 3]),
    extras: ["lse"],
    isDouble,
  };
}

/** Relative to the largest number of the wanted tensor; infinite where one is missing. */
function relativeDifference(wanted: Tensor | Tensor64, found: Tensor | Tensor64 | undefined): number {
  if (found === undefined) return Infinity;
  let [largest, worst] = [1e-12, 0];
  wanted.data.forEach((value: number, place: number) => {
    const other = found.data[place] ?? Number.NaN;
    largest = Math.max(largest, Math.abs(value));
    worst = Math.max(worst, Number.isNaN(other) ? Infinity : Math.abs(value - other));
  });
  return worst / largest;
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
}
