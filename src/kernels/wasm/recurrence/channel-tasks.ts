/**
 * @file The update of channels that each have a largest logarithm of their own, forward and backward: four channels a vector,
 * token after token. A state is a numerator n and a denominator d, both times e^{−p}; p is held as the largest key m and the
 * tokens since, so that it is not rounded anew at every token:
 *
 *     p = m + age·log w
 *     o_t = (e^{p − s}·n + e^{u + k − s}·v)/(e^{p − s}·d + e^{u + k − s}),              s = max(p, u + k)
 *     n ← e^{p + log w − p'}·n + e^{k − p'}·v,   d ← the same with 1 for v,   p' = max(p + log w, k)
 *
 * Of the two exponentials of a maximum one is 1. Nothing was stored where m is −∞.
 */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  type Local,
  type Value,
  type WasmFunction,
} from "../assembler/assembler.ts";
import { expOfNonPositive } from "../assembler/vector-math.ts";
import { fieldsOf } from "./forward-tasks.ts";
import { channelExtent, type ChannelSpec, chunkTokens } from "./spec.ts";

/** Rows of a state, [4, D'] each. */
export const channelState = ["numerator", "denominator", "largest", "age"] as const;
/** What a chunk's tokens keep for their gradients, a vector each. */
const keptOfToken = ["numerator", "denominator", "kept", "added", "past", "own", "out"] as const;
type KeptOfToken = (typeof keptOfToken)[number];

/** Vectors that run beside each other, so that one does not wait for itself. */
const vectors = 2;
/** Channels of a task are a multiple of it. */
export const channelsAtOnce: number = 4 * vectors;
const groupBytes = 16 * vectors;
const tokenBytes = groupBytes * keptOfToken.length;

/** Bytes of a thread's scratch memory: what the tokens of a chunk keep. */
export const channelScratchBytes: number = chunkTokens * tokenBytes;

export function channelTasks(spec: ChannelSpec): readonly WasmFunction[] {
  return [channels(spec), channelGradients(spec)];
}

/** The state of one vector of channels in registers. */
type StateLocals = Readonly<Record<(typeof channelState)[number], Local>>;

const stateLocals = (b: FunctionBuilder): readonly StateLocals[] =>
  Array.from(
    { length: vectors },
    () =>
      Object.fromEntries(channelState.map((name) => [name, b.local("v128", name)])) as unknown as StateLocals,
  );

function loadState(b: FunctionBuilder, states: readonly StateLocals[], at: Value, rowBytes: number): void {
  states.forEach((state, vector) =>
    channelState.forEach((name, row) => b.set(state[name], f32x4.load(at, rowBytes * row + 16 * vector))),
  );
}

/** Where the parameters of a group of channels lie. */
interface GroupPlaces {
  readonly log: Local;
  readonly bonus: Local;
}

/** The factors of what was there and of what is added, e^{min(0, −x)} and e^{min(0, x)}, and where x < 0. */
function shares(
  b: FunctionBuilder,
  x: Local,
): { readonly old: Local; readonly added: Local; readonly loses: Local } {
  const one = f32x4.constant(1);
  const loses = b.let("loses", f32x4.less(x, f32x4.constant(0)));
  const smaller = b.let("smaller", expOfNonPositive(b, f32x4.neg(f32x4.abs(x))));
  const old = b.let("old", b.selectLanes(one, smaller, loses));
  return { old, added: b.let("added", b.selectLanes(smaller, one, loses)), loses };
}

/** A token's output, and the state behind it. */
function takeToken(
  b: FunctionBuilder,
  state: StateLocals,
  { log, bonus }: GroupPlaces,
  token: { readonly k: Local; readonly v: Local; readonly offset: number },
  keep: (name: KeptOfToken, value: Value) => void,
): void {
  const { k, v, offset } = token;
  const { numerator, denominator, largest, age } = state;
  keep("numerator", numerator);
  keep("denominator", denominator);
  const w = b.let("logDecay", f32x4.load(log, offset));
  const above = b.let("above", f32x4.sub(k, largest));
  const read = shares(
    b,
    b.let("ownLog", f32x4.sub(f32x4.add(above, f32x4.load(bonus, offset)), f32x4.mul(age, w))),
  );
  const sum = b.let("sum", b.madd(read.old, denominator, read.added));
  keep("past", f32x4.div(read.old, sum));
  keep("own", f32x4.div(read.added, sum));
  keep("out", f32x4.div(b.madd(read.old, numerator, f32x4.mul(read.added, v)), sum));

  b.set(age, f32x4.add(age, f32x4.constant(1)));
  const write = shares(b, b.let("keyLog", f32x4.sub(above, f32x4.mul(age, w))));
  keep("kept", write.old);
  keep("added", write.added);
  b.set(numerator, b.madd(write.old, numerator, f32x4.mul(write.added, v)));
  b.set(denominator, b.madd(write.old, denominator, write.added));
  b.set(largest, b.selectLanes(largest, k, write.loses));
  b.set(age, f32x4.and(age, write.loses));
}

/** Places of a record that move with the tokens. */
const tokenPlaces = (b: FunctionBuilder, starts: readonly Local[], column: Local): readonly Local[] =>
  starts.map((start) => b.let("at", i32.add(start, column)));

/**
 * `channels(record, scratch)`: outputs of `rows` tokens in `columns` channels. The state is read from `state` and written
 * `stride` bytes further at the start of every following one of `count` chunks and behind the last.
 */
function channels(spec: ChannelSpec): WasmFunction {
  const rowBytes = 4 * channelExtent(spec);
  const comment =
    "o = (e^{p − s}·n + e^{u + k − s}·v)/(e^{p − s}·d + e^{u + k − s}), then n, d and p with the token";
  return defineFunction("channels", comment, ["record", "scratch"], spec.relaxed, (b, record) => {
    const get = fieldsOf(b, record);
    const [k, v, out, decay, u] = (["k", "v", "out", "decay", "u"] as const).map(get);
    const [first, stride, count, rows, some] = (["state", "stride", "count", "rows", "columns"] as const).map(
      get,
    );
    const bytes = b.let("bytes", i32.mul(some, 4));
    const [column, chunk, row] = ["column", "chunk", "row"].map((name) => b.local("i32", name));
    const states = stateLocals(b);
    b.for(column, 0, bytes, groupBytes, () => {
      const [kAt, vAt, outAt] = tokenPlaces(b, [k, v, out], column);
      const [stateAt, log, bonus] = tokenPlaces(b, [first, decay, u], column);
      const left = b.let("left", rows);
      loadState(b, states, stateAt, rowBytes);
      b.for(chunk, 0, count, 1, () => {
        const tokens = b.let("tokens", i32.min(left, chunkTokens));
        b.for(row, 0, tokens, 1, () => {
          states.forEach((state, vector) => {
            const offset = 16 * vector;
            const [key, value] = [kAt, vAt].map((at) => b.let("kv", f32x4.load(at, offset)));
            takeToken(b, state, { log, bonus }, { k: key, v: value, offset }, (name, result) => {
              if (name === "out") b.store(outAt, result, offset);
            });
          });
          for (const at of [kAt, vAt, outAt]) b.set(at, i32.add(at, rowBytes));
        });
        b.set(left, i32.sub(left, tokens));
        b.set(stateAt, i32.add(stateAt, stride));
        states.forEach((state, vector) =>
          channelState.forEach((name, place) =>
            b.store(stateAt, state[name], rowBytes * place + 16 * vector),
          ),
        );
      });
    });
  });
}

/**
 * `channelGradients(record, scratch)`: chunks from the last to the first. The tokens of a chunk are taken again from the state
 * before them, and their gradients follow backward; p is held constant, as no output depends on it.
 */
function channelGradients(spec: ChannelSpec): WasmFunction {
  const rowBytes = 4 * channelExtent(spec);
  const comment =
    "dv += e^{k − p'}·dn + own·do, dk += e^{k − p'}·(dn·v + dd) + own·do·(v − o), dn and dd with the token";
  const names = ["record", "scratch"];
  return defineFunction("channelGradients", comment, names, spec.relaxed, (b, record, scratch) => {
    const get = fieldsOf(b, record);
    const [k, v, outGradient, decay, u] = (["k", "v", "outGradient", "decay", "u"] as const).map(get);
    const [kGradient, vGradient, dDecay, du] = (
      ["kGradient", "vGradient", "decayGradient", "uGradient"] as const
    ).map(get);
    const [last, stride, count, rows, some] = (["state", "stride", "count", "rows", "columns"] as const).map(
      get,
    );
    const ending = get("stateGradient");
    const bytes = b.let("bytes", i32.mul(some, 4));
    const [column, chunk, row] = ["column", "chunk", "row"].map((name) => b.local("i32", name));
    const states = stateLocals(b);
    const gradients = states.map(() => ({
      numerator: b.local("v128", "dn"),
      denominator: b.local("v128", "dd"),
      log: b.local("v128", "dLog"),
      bonus: b.local("v128", "du"),
    }));
    const placeOf = (name: KeptOfToken, vector: number): number =>
      groupBytes * keptOfToken.indexOf(name) + 16 * vector;
    b.for(column, 0, bytes, groupBytes, () => {
      const [stateAt, log, bonus, endingAt] = tokenPlaces(b, [last, decay, u, ending], column);
      const [dDecayAt, duAt] = tokenPlaces(b, [dDecay, du], column);
      // The rows of the last chunk's end, from where all places go back.
      const [kAt, vAt, doAt, dkAt, dvAt] = [k, v, outGradient, kGradient, vGradient].map((start) =>
        b.let("at", i32.add(i32.add(start, column), i32.mul(rows, rowBytes))),
      );
      gradients.forEach((gradient, vector) => {
        b.set(gradient.numerator, f32x4.load(endingAt, 16 * vector));
        b.set(gradient.denominator, f32x4.load(endingAt, rowBytes + 16 * vector));
      });
      const tokens = b.let("tokens", i32.sub(rows, i32.mul(i32.sub(count, 1), chunkTokens)));
      b.for(chunk, 0, count, 1, () => {
        const chunkBytes = b.let("chunkBytes", i32.mul(tokens, rowBytes));
        for (const at of [kAt, vAt]) b.set(at, i32.sub(at, chunkBytes));
        loadState(b, states, stateAt, rowBytes);
        const kept = b.let("kept", scratch);
        b.for(row, 0, tokens, 1, () => {
          states.forEach((state, vector) => {
            const offset = 16 * vector;
            const [key, value] = [kAt, vAt].map((at) => b.let("kv", f32x4.load(at, offset)));
            takeToken(b, state, { log, bonus }, { k: key, v: value, offset }, (name, result) =>
              b.store(kept, result, placeOf(name, vector)),
            );
          });
          for (const at of [kAt, vAt]) b.set(at, i32.add(at, rowBytes));
          b.set(kept, i32.add(kept, tokenBytes));
        });
        for (const { log: sum, bonus: other } of gradients) {
          for (const local of [sum, other]) b.set(local, f32x4.constant(0));
        }
        const back = b.let("back", vAt);
        b.for(row, 0, tokens, 1, () => {
          for (const at of [back, doAt, dkAt, dvAt]) b.set(at, i32.sub(at, rowBytes));
          b.set(kept, i32.sub(kept, tokenBytes));
          gradients.forEach((gradient, vector) => {
            const { numerator, denominator } = gradient;
            const of = (name: KeptOfToken): Value => f32x4.load(kept, placeOf(name, vector));
            const value = b.let("v", f32x4.load(back, 16 * vector));
            const added = b.let("added", of("added"));
            const own = b.let("own", f32x4.mul(of("own"), f32x4.load(doAt, 16 * vector)));
            const share = b.let("share", f32x4.mul(of("past"), f32x4.load(doAt, 16 * vector)));
            const out = b.let("out", of("out"));
            const ownLog = b.let("dOwnLog", f32x4.mul(own, f32x4.sub(value, out)));
            b.store(dvAt, b.madd(added, numerator, own), 16 * vector);
            b.store(dkAt, b.madd(added, b.madd(numerator, value, denominator), ownLog), 16 * vector);
            b.set(gradient.bonus, f32x4.add(gradient.bonus, ownLog));
            const kept0 = b.let("keptShare", of("kept"));
            const along = b.madd(numerator, of("numerator"), f32x4.mul(denominator, of("denominator")));
            b.set(gradient.log, b.madd(kept0, along, gradient.log));
            b.set(numerator, b.madd(kept0, numerator, share));
            b.set(denominator, b.nmadd(share, out, f32x4.mul(kept0, denominator)));
          });
        });
        for (const at of [kAt, vAt]) b.set(at, i32.sub(at, chunkBytes));
        gradients.forEach((gradient, vector) => {
          b.store(dDecayAt, gradient.log, 16 * vector);
          b.store(duAt, gradient.bonus, 16 * vector);
        });
        for (const at of [dDecayAt, duAt]) b.set(at, i32.sub(at, rowBytes));
        b.set(stateAt, i32.sub(stateAt, stride));
        b.set(tokens, chunkTokens);
      });
      gradients.forEach((gradient, vector) => {
        b.store(endingAt, gradient.numerator, 16 * vector);
        b.store(endingAt, gradient.denominator, rowBytes + 16 * vector);
      });
    });
  });
}
