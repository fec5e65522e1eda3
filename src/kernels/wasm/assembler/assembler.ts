/**
 * @file A small WebAssembly assembler: functions are built as trees of named values and statements, which `encode-wasm.ts`
 * turns into bytes (with a name section) and `print-wat.ts` into text. It holds the SIMD, relaxed SIMD and scalar
 * instructions that the kernels use, and no others.
 */
import {
  constantOf,
  f32x4,
  i32,
  type Integer,
  integer,
  type Local,
  operation,
  type Value,
  type ValueType,
} from "./values.ts";

export * from "./values.ts";

export type Statement =
  | { readonly kind: "set"; readonly local: Local; readonly value: Value }
  | {
      readonly kind: "store";
      readonly operation: string;
      readonly operands: readonly Value[];
      readonly offset: number;
      readonly lane?: number;
    }
  | { readonly kind: "block" | "loop"; readonly label: string; readonly body: readonly Statement[] }
  | {
      readonly kind: "if";
      readonly condition: Value;
      readonly whenTrue: readonly Statement[];
      readonly whenFalse: readonly Statement[];
    }
  | { readonly kind: "branch"; readonly label: string; readonly condition?: Value }
  | { readonly kind: "call"; readonly callee: WasmFunction; readonly operands: readonly Value[] }
  | { readonly kind: "comment"; readonly text: string };

/** A finished function. */
export interface WasmFunction {
  readonly name: string;
  /** The formula above its text. */
  readonly comment: string;
  readonly parameters: readonly Local[];
  readonly locals: readonly Local[];
  readonly body: readonly Statement[];
}

/** A module: imports one memory, exports all functions that `exports` names. */
export interface WasmModule {
  readonly header: readonly string[];
  readonly functions: readonly WasmFunction[];
  readonly exports: readonly string[];
  readonly memory: { readonly minimum: number; readonly maximum: number; readonly shared: boolean };
}

/** Builds one function, statement by statement. */
export class FunctionBuilder {
  readonly #locals: Local[] = [];
  readonly #names = new Map<string, number>();
  #labels = 0;
  #body: Statement[] = [];
  readonly parameters: readonly Local[];
  /** Whether the engine multiplies and adds in one instruction. */
  readonly relaxed: boolean;

  constructor(parameterNames: readonly string[], relaxed: boolean) {
    this.relaxed = relaxed;
    this.parameters = parameterNames.map((name) => this.#newLocal("i32", name));
    this.#locals.length = 0;
  }

  get locals(): readonly Local[] {
    return this.#locals;
  }

  get body(): readonly Statement[] {
    return this.#body;
  }

  #count = 0;
  #newLocal(type: ValueType, name: string): Local {
    const used = this.#names.get(name) ?? 0;
    this.#names.set(name, used + 1);
    const local = {
      kind: "value" as const,
      type,
      operation: "local.get",
      operands: [],
      name: used === 0 ? name : `${name}.${used}`,
      index: this.#count++,
    };
    this.#locals.push(local);
    return local;
  }

  /** A new local. */
  local(type: ValueType, name: string): Local {
    return this.#newLocal(type, name);
  }

  /** A new local that holds the value. */
  let(name: string, value: Integer): Local {
    const held = integer(value);
    const local = this.#newLocal(held.type, name);
    this.set(local, held);
    return local;
  }

  set(local: Local, value: Integer): void {
    this.#body.push({ kind: "set", local, value: integer(value) });
  }

  /** Stores a vector, a float or an integer, by its type. */
  store(address: Value, value: Value, offset = 0): void {
    const name = value.type === "v128" ? "v128.store" : `${value.type}.store`;
    this.#body.push({ kind: "store", operation: name, operands: [address, value], offset });
  }

  /** Stores one lane of a vector. */
  storeLane(address: Value, value: Value, lane: number, offset = 0): void {
    this.#body.push({
      kind: "store",
      operation: "v128.store32_lane",
      operands: [address, value],
      offset,
      lane,
    });
  }

  call(callee: WasmFunction, ...operands: readonly Integer[]): void {
    this.#body.push({ kind: "call", callee, operands: operands.map(integer) });
  }

  comment(text: string): void {
    this.#body.push({ kind: "comment", text });
  }

  #inside(build: () => void): readonly Statement[] {
    const outer = this.#body;
    this.#body = [];
    build();
    const inner = this.#body;
    this.#body = outer;
    return inner;
  }

  if(condition: Value, whenTrue: () => void, whenFalse: () => void = () => {}): void {
    this.#body.push({
      kind: "if",
      condition,
      whenTrue: this.#inside(whenTrue),
      whenFalse: this.#inside(whenFalse),
    });
  }

  /** Repeats `body` while `counter` < stop (as numbers without a sign), stepping it; not at all when start ≥ stop. */
  for(counter: Local, start: Integer, stop: Integer, step: number, body: () => void): void {
    const label = `for.${this.#labels++}`;
    const [first, last] = [constantOf(start), constantOf(stop)];
    this.set(counter, start);
    const runs = first !== undefined && last !== undefined ? first < last : undefined;
    if (runs === false) return;
    const inner = this.#inside(() => {
      body();
      this.set(counter, i32.add(counter, step));
      this.#body.push({ kind: "branch", label, condition: i32.below(counter, stop) });
    });
    const loop: Statement = { kind: "loop", label, body: inner };
    if (runs === true) this.#body.push(loop);
    else
      this.#body.push({ kind: "if", condition: i32.below(counter, stop), whenTrue: [loop], whenFalse: [] });
  }

  /** a·b + c */
  madd(a: Value, b: Value, c: Value): Value {
    return this.relaxed ? operation("f32x4.relaxed_madd", [a, b, c]) : f32x4.add(f32x4.mul(a, b), c);
  }

  /** c − a·b */
  nmadd(a: Value, b: Value, c: Value): Value {
    return this.relaxed ? operation("f32x4.relaxed_nmadd", [a, b, c]) : f32x4.sub(c, f32x4.mul(a, b));
  }

  /** `chosen` where all bits of a lane of `mask` are set, `other` where none is. */
  selectLanes(chosen: Value, other: Value, mask: Value): Value {
    return this.relaxed
      ? operation("i32x4.relaxed_laneselect", [chosen, other, mask])
      : f32x4.select(chosen, other, mask);
  }

  /** The sum of four lanes, in every lane; always in the same order. */
  sumLanes(vector: Value): Value {
    const all = this.let("lanes", vector);
    this.set(all, f32x4.add(all, f32x4.shuffle(all, all, [2, 3, 0, 1])));
    return f32x4.add(all, f32x4.shuffle(all, all, [1, 0, 3, 2]));
  }

  /** The largest of four lanes, in every lane. */
  maxLanes(vector: Value): Value {
    const all = this.let("lanes", vector);
    this.set(all, f32x4.max(all, f32x4.shuffle(all, all, [2, 3, 0, 1])));
    return f32x4.max(all, f32x4.shuffle(all, all, [1, 0, 3, 2]));
  }
}

/** Builds a function whose parameters are integers. */
export function defineFunction(
  name: string,
  comment: string,
  parameterNames: readonly string[],
  relaxed: boolean,
  build: (builder: FunctionBuilder, ...parameters: Local[]) => void,
): WasmFunction {
  const builder = new FunctionBuilder(parameterNames, relaxed);
  build(builder, ...builder.parameters);
  return { name, comment, parameters: builder.parameters, locals: builder.locals, body: builder.body };
}
