/** @file The kernel of an attention as text, for who wants to read what runs, and as the bytes that the text stands for. */
import { type Composition } from "../../../attention/index.ts";
import { type WasmModule } from "../assembler/assembler.ts";
import { describeModule, type KernelDescription } from "../assembler/describe-module.ts";
import { emitKernel, hashOf } from "./emit-kernel.ts";
import { kernelSpec } from "./kernel-spec.ts";
import { printWat } from "../assembler/print-wat.ts";
import { requireSupported } from "./supported.ts";

/** What the text depends on beside the attention. */
export interface EmitOptions {
  /** D (default 64). */
  readonly width?: number;
  /** E (default D). */
  readonly valueWidth?: number;
  /** Multiply and add in one instruction (default true). */
  readonly relaxed?: boolean;
  /** Whether calls have a bias, a mask (default false). */
  readonly hasBias?: boolean;
  readonly hasMask?: boolean;
  /** The functions to print (default all). */
  readonly only?: RegExp;
}

/** The kernel as WAT, the formula above every function; the same attention always gives the same text. */
export function emitWat(composition: Composition, options: EmitOptions = {}): string {
  return printWat(moduleOf(composition, options).module, options.only);
}

/**
 * The kernel as text and as bytes, and what its functions are.
 *
 * @throws UnsupportedError `wasm-part` for parts that the kernels do not know, ShapeError for widths that parts do not take
 * @example
 * ```ts
 * import { causal, compose, l2 } from "qklab";
 * import { describeKernel } from "qklab/wasm";
 * const { text, functions } = describeKernel(compose({ similarity: l2(), pattern: causal() }), { width: 16 });
 * functions.some(({ name }) => name === "forward"); // true
 * text.includes("(func $forward"); // true
 * ```
 */
export function describeKernel(composition: Composition, options: EmitOptions = {}): KernelDescription {
  const { module, hash } = moduleOf(composition, options);
  return describeModule(module, hash, options.only);
}

function moduleOf(
  composition: Composition,
  options: EmitOptions,
): { readonly module: WasmModule; readonly hash: string } {
  requireSupported(composition);
  const { width = 64, valueWidth = width, relaxed = true, hasBias = false, hasMask = false } = options;
  const call = { width, valueWidth, hasBias, hasMask };
  const spec = kernelSpec(composition, call, { relaxed, shared: true });
  return { module: emitKernel(spec).module, hash: hashOf(spec) };
}
