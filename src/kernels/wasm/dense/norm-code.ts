/**
 * @file The code of RMSNorm, n = x·r⊙gain with r = 1/√(mean x² + ε), and LayerNorm, n = (x − mean x)·r⊙gain + shift with
 * r = 1/√(variance x + ε), of rows in the cache. Their gradients compute r again: it costs less than to keep it.
 */
import { normEpsilon } from "../../reference/norm.ts";
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  type Local,
  type WasmFunction,
} from "../assembler/assembler.ts";
import { roundUp } from "../attention/kernel-spec.ts";

export type NormKind = "rms" | "layer";

export interface NormSpec {
  readonly norm: NormKind;
  readonly width: number;
  /** ε (default 1e-5). */
  readonly epsilon?: number;
  readonly relaxed: boolean;
}

const lanes = 4;

/** −1 in the lanes that a row of `width` numbers fills of its last vector. */
const lastLanes = (width: number) =>
  f32x4.lanes(
    [0, 1, 2, 3].map((lane) => (lane < width % lanes ? -1 : 0)) as [number, number, number, number],
  );

/** r, and for LayerNorm the mean, of the row at an address, in every lane. */
function statistics(
  b: FunctionBuilder,
  row: Local,
  { norm, width, epsilon = normEpsilon }: NormSpec,
): { readonly mean: Local | undefined; readonly scale: Local } {
  const at = b.local("i32", "at");
  const sum = b.let("sum", f32x4.constant(0));
  const share = f32x4.constant(1 / width);
  const paddedBytes = 4 * roundUp(width, 8);
  let mean: Local | undefined;
  if (norm === "layer") {
    b.for(at, 0, paddedBytes, 16, () => b.set(sum, f32x4.add(sum, f32x4.load(i32.add(row, at)))));
    mean = b.let("mean", f32x4.mul(b.sumLanes(sum), share));
    b.set(sum, f32x4.constant(0));
  }
  // Padding is zero, and stays zero only where no mean is taken off.
  const wholeBytes = mean === undefined ? paddedBytes : 4 * (width - (width % lanes));
  b.for(at, 0, wholeBytes, 16, () => {
    const x = b.let("x", f32x4.load(i32.add(row, at)));
    if (mean !== undefined) b.set(x, f32x4.sub(x, mean));
    b.set(sum, b.madd(x, x, sum));
  });
  if (mean !== undefined && width % lanes > 0) {
    const x = b.let("x", f32x4.sub(f32x4.load(row, wholeBytes), mean));
    b.set(x, f32x4.and(x, lastLanes(width)));
    b.set(sum, b.madd(x, x, sum));
  }
  const square = b.madd(b.sumLanes(sum), share, f32x4.constant(epsilon));
  return { mean, scale: b.let("scale", f32x4.div(f32x4.constant(1), f32x4.sqrt(square))) };
}

/** `normalise(x, gain, shift, out, rows)`; padding comes out as zeros. */
export function normaliseFunction(spec: NormSpec): WasmFunction {
  const { norm, width, relaxed } = spec;
  const rowBytes = 4 * roundUp(width, 8);
  const comment = norm === "rms" ? "x/√(mean x² + ε)⊙gain" : "(x − mean x)/√(variance x + ε)⊙gain + shift";
  return defineFunction(
    "normalise",
    comment,
    ["x", "gain", "shift", "out", "rows"],
    relaxed,
    (b, x, gain, shift, out, rows) => {
      const [row, at] = ["row", "at"].map((name) => b.local("i32", name));
      const from = b.let("from", x);
      const to = b.let("to", out);
      b.for(row, 0, rows, 1, () => {
        const { mean, scale } = statistics(b, from, spec);
        b.for(at, 0, rowBytes, 16, () => {
          const value = f32x4.load(i32.add(from, at));
          const unit = f32x4.mul(mean === undefined ? value : f32x4.sub(value, mean), scale);
          const gained = f32x4.load(i32.add(gain, at));
          b.store(
            i32.add(to, at),
            mean === undefined
              ? f32x4.mul(unit, gained)
              : b.madd(unit, gained, f32x4.load(i32.add(shift, at))),
          );
        });
        b.set(from, i32.add(from, rowBytes));
        b.set(to, i32.add(to, rowBytes));
      });
    },
  );
}

/**
 * `pullNorm(x, gain, dn, before, dx, gainGradient, shiftGradient, rows)`: with u = dn⊙gain and y = (x − mean x)·r it is
 * dx = before + r·(u − mean u − y·mean(u⊙y)), where RMSNorm has no means of x and u; gainGradient += Σ dn⊙y,
 * shiftGradient += Σ dn. `before` counts where there is a residual.
 */
export function pullNormFunction(spec: NormSpec & { readonly residual: boolean }): WasmFunction {
  const { width, relaxed, residual } = spec;
  const rowBytes = 4 * roundUp(width, 8);
  return defineFunction(
    "pullNorm",
    "dx from the gradient of the normalised rows, and sums for gain and shift",
    ["x", "gain", "dn", "before", "dx", "gainGradient", "shiftGradient", "rows"],
    relaxed,
    (b, x, gain, dn, before, dx, gainGradient, shiftGradient, rows) => {
      const [row, at, offset] = ["row", "at", "offset"].map((name) => b.local("i32", name));
      const from = b.local("i32", "from");
      const share = f32x4.constant(1 / width);
      b.set(offset, 0);
      b.for(row, 0, rows, 1, () => {
        b.set(from, i32.add(x, offset));
        const gradientRow = b.let("gradientRow", i32.add(dn, offset));
        const { mean, scale } = statistics(b, from, spec);
        const unitAt = (): Local => {
          const value = f32x4.load(i32.add(from, at));
          return b.let("unit", f32x4.mul(mean === undefined ? value : f32x4.sub(value, mean), scale));
        };
        const along = b.let("along", f32x4.constant(0));
        const total = b.let("total", f32x4.constant(0));
        b.for(at, 0, rowBytes, 16, () => {
          const unit = unitAt();
          const gradient = b.let("gradient", f32x4.load(i32.add(gradientRow, at)));
          const gained = b.let("gained", f32x4.mul(gradient, f32x4.load(i32.add(gain, at))));
          b.set(along, b.madd(gained, unit, along));
          const gainAt = b.let("gainAt", i32.add(gainGradient, at));
          b.store(gainAt, b.madd(gradient, unit, f32x4.load(gainAt)));
          if (mean === undefined) return;
          b.set(total, f32x4.add(total, gained));
          const shiftAt = b.let("shiftAt", i32.add(shiftGradient, at));
          b.store(shiftAt, f32x4.add(f32x4.load(shiftAt), gradient));
        });
        b.set(along, f32x4.mul(b.sumLanes(along), share));
        if (mean !== undefined) b.set(total, f32x4.mul(b.sumLanes(total), share));
        b.for(at, 0, rowBytes, 16, () => {
          const unit = unitAt();
          const gained = f32x4.mul(f32x4.load(i32.add(gradientRow, at)), f32x4.load(i32.add(gain, at)));
          const rest = b.nmadd(along, unit, mean === undefined ? gained : f32x4.sub(gained, total));
          const place = b.let("place", i32.add(offset, at));
          b.store(
            i32.add(dx, place),
            residual ? b.madd(rest, scale, f32x4.load(i32.add(before, place))) : f32x4.mul(rest, scale),
          );
        });
        b.set(offset, i32.add(offset, rowBytes));
      });
    },
  );
}
