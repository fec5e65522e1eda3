/** @file The kernel of an attention as text, for who wants to read what runs. */
import { type Composition } from "../../attention/index.ts";
import { emitKernel } from "./emit-kernel.ts";
import { kernelSpec } from "./kernel-spec.ts";
import { printWat } from "./print-wat.ts";

/** What the text depends on beside the attention. */
export interface EmitOptions {
  /** D (default 64). */
  readonly width?: number;
  /** E (default D). */
  readonly valueWidth?: number;
  /** Multiply and add in one instruction (default true). */
  readonly relaxed?: boolean;
  /** The functions to print (default all). */
  readonly only?: RegExp;
}

/** The kernel as WAT, the formula above every function; the same attention always gives the same text. */
export function emitWat(composition: Composition, options: EmitOptions = {}): string {
  const { width = 64, valueWidth = width, relaxed = true, only } = options;
  const spec = kernelSpec(
    composition,
    { width, valueWidth, hasBias: false, hasMask: false },
    { relaxed, shared: true },
  );
  return printWat(emitKernel(spec).module, only);
}
