/** @file Kernels of compositions on an engine, each compiled once. */
import { type Composition } from "../../../attention/index.ts";
import { type KernelCode, type WasmEngine } from "../engine/engine.ts";
import { type EmittedKernel, emitKernel } from "./emit-kernel.ts";
import { type CallShape, kernelSpec, type KernelSpec } from "./kernel-spec.ts";

/** A kernel that can run. */
export interface CompiledKernel extends EmittedKernel, KernelCode {
  readonly spec: KernelSpec;
}

const kernels = new WeakMap<WasmEngine, WeakMap<Composition, Map<string, CompiledKernel>>>();

/** The kernel of a composition at given widths, compiled once. */
export function kernelOf(engine: WasmEngine, composition: Composition, shape: CallShape): CompiledKernel {
  const ofEngine = kernels.get(engine) ?? new WeakMap<Composition, Map<string, CompiledKernel>>();
  kernels.set(engine, ofEngine);
  const ofShape = ofEngine.get(composition) ?? new Map<string, CompiledKernel>();
  ofEngine.set(composition, ofShape);
  const key = Object.values(shape).join();
  const found = ofShape.get(key) ?? compileKernel(engine, composition, shape);
  ofShape.set(key, found);
  return found;
}

function compileKernel(engine: WasmEngine, composition: Composition, shape: CallShape): CompiledKernel {
  const { relaxed, shared } = engine;
  const spec = kernelSpec(composition, shape, { relaxed, shared });
  const emitted = emitKernel(spec);
  return { ...emitted, ...engine.compile(emitted.module), spec };
}
