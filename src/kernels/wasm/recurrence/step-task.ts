/**
 * @file One token of a recurrence, for decoding: some columns of a state are read once and written once.
 *
 *     c = b·M,   M ← w⊙M + aᵀc + kᵀv,   o = q·M, or with a bonus o = q·(M_before + u⊙kᵀv)
 */
import { defineFunction, f32x4, i32, type WasmFunction } from "../assembler/assembler.ts";
import { vectorOperations } from "../assembler/vector-math.ts";
import { fieldsOf } from "./forward-tasks.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { extentsOf, type RecurrenceField, type RecurrenceSpec } from "./spec.ts";
import { type TaskCode } from "./task-code.ts";

/** Bytes of a thread's scratch memory: one row of decays. */
export const stepScratchBytes = (spec: RecurrenceSpec): number => 4 * roundUp(extentsOf(spec).width, 16);

/** `step(record, scratch)` of `count` heads, whose rows lie one after the other; `decay` holds log w. */
export function stepTask({ spec }: TaskCode): WasmFunction {
  const { width, columns, state: stateFloats } = extentsOf(spec);
  const { core, relaxed, valueWidth } = spec;
  const vectors = columns % 16 === 0 ? 4 : 2;
  const places = Array.from({ length: vectors }, (_, vector) => vector);
  const comment = "M ← w⊙M + aᵀ(b·M) + kᵀv and o = q·M of one token of some heads";
  return defineFunction("step", comment, ["record", "scratch"], relaxed, (b, record, scratch) => {
    const get = fieldsOf(b, record);
    const rowNames: RecurrenceField[] = [
      "q",
      "k",
      ...(core.correction ? (["a", "b"] as const) : []),
      ...(core.read === "bonus" ? (["u"] as const) : []),
    ];
    const rows = Object.fromEntries(rowNames.map((name) => [name, get(name)]));
    const [v, state, out, count] = [get("v"), get("state"), get("out"), get("count")];
    const decay = core.decay === "none" ? undefined : get("decay");
    const decayStep = core.decay === "head" ? 4 : 4 * width;
    const weights = scratch;
    const [head, column, d] = ["head", "column", "d"].map((name) => b.local("i32", name));
    const headWeight = b.local("v128", "headWeight");
    const corrections = places.map((vector) => b.local("v128", `correction${vector}`));
    const sums = places.map((vector) => b.local("v128", `sum${vector}`));
    const values = places.map((vector) => b.local("v128", `value${vector}`));
    const at = b.local("i32", "at");
    b.for(head, 0, count, 1, () => {
      if (decay !== undefined && core.decay === "head") {
        const log = b.let("log", f32x4.splatAt(decay));
        b.set(headWeight, vectorOperations.exp(b, log, log));
      } else if (decay !== undefined) {
        b.for(column, 0, 4 * width, 16, () => {
          const log = b.let("log", f32x4.load(i32.add(decay, column)));
          b.store(i32.add(weights, column), vectorOperations.exp(b, log, log));
        });
      }
      b.for(column, 0, 4 * columns, 16 * vectors, () => {
        const place = b.let("place", i32.add(state, column));
        if (core.correction) {
          for (const correction of corrections) b.set(correction, f32x4.constant(0));
          b.set(at, place);
          b.for(d, 0, 4 * width, 4, () => {
            const weight = b.let("weight", f32x4.splatAt(i32.add(rows["b"], d)));
            corrections.forEach((correction, vector) =>
              b.set(correction, b.madd(weight, f32x4.load(at, 16 * vector), correction)),
            );
            b.set(at, i32.add(at, 4 * columns));
          });
        }
        values.forEach((value, vector) => b.set(value, f32x4.load(i32.add(v, column), 16 * vector)));
        for (const sum of sums) b.set(sum, f32x4.constant(0));
        b.set(at, place);
        b.for(d, 0, 4 * width, 4, () => {
          const [q, k] = ["q", "k"].map((name) => b.let(name, f32x4.splatAt(i32.add(rows[name], d))));
          const a = core.correction ? b.let("a", f32x4.splatAt(i32.add(rows["a"], d))) : undefined;
          const bonus =
            core.read === "bonus"
              ? b.let("bonus", f32x4.mul(k, f32x4.splatAt(i32.add(rows["u"], d))))
              : undefined;
          const w =
            core.decay === "none"
              ? undefined
              : core.decay === "head"
                ? headWeight
                : b.let("w", f32x4.splatAt(i32.add(weights, d)));
          for (const vector of places) {
            const old = b.let("old", f32x4.load(at, 16 * vector));
            const kept = w === undefined ? old : f32x4.mul(w, old);
            const corrected = a === undefined ? kept : b.madd(a, corrections[vector], kept);
            const next = b.let("next", b.madd(k, values[vector], corrected));
            b.store(at, next, 16 * vector);
            const seen = bonus === undefined ? next : b.madd(bonus, values[vector], old);
            b.set(sums[vector], b.madd(q, seen, sums[vector]));
          }
          b.set(at, i32.add(at, 4 * columns));
        });
        sums.forEach((sum, vector) => b.store(i32.add(out, column), sum, 16 * vector));
      });
      if (core.normalised) {
        const sum = f32x4.splatAt(out, 4 * valueWidth);
        const divisor = b.let("divisor", f32x4.add(sum, f32x4.constant(core.epsilon)));
        b.for(column, 0, 4 * columns, 16, () => {
          const place = b.let("outPlace", i32.add(out, column));
          b.store(place, f32x4.div(f32x4.load(place), divisor));
        });
      }
      for (const row of Object.values(rows)) b.set(row, i32.add(row, 4 * width));
      for (const row of [v, out]) b.set(row, i32.add(row, 4 * columns));
      b.set(state, i32.add(state, 4 * stateFloats));
      if (decay !== undefined) b.set(decay, i32.add(decay, decayStep));
    });
  });
}
