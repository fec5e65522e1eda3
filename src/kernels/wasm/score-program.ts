/**
 * @file A score and its derivatives as vector code: every instruction is computed where it changes, numbers of the head
 * before the call (in f64), those of a row once per row, those of a key once per key of a tile, and the rest per pair.
 */
import { arithmetic, type Expression, type Instruction, linearise } from "../../score/index.ts";
import { f32x4, type FunctionBuilder, type Value } from "./assembler.ts";
import { vectorOperations } from "./vector-math.ts";

type Rate = "constant" | "head" | "row" | "key" | "pair";

/** Formulas split by where they change. Values that cross a border are numbered: `head`, `rows` and `keys` list them. */
export interface ScoreProgram {
  /** Values per head that the kernel reads, computed by {@link headTable}. */
  readonly head: readonly number[];
  /** Values per row and per key that the pair code reads. */
  readonly rows: readonly number[];
  readonly keys: readonly number[];
  readonly instructions: readonly Instruction[];
  readonly outputs: readonly number[];
  readonly rates: readonly Rate[];
}

const isRowVariable = (name: string): boolean => /^q2(_\d+)?$/.test(name);
const isKeyNorm = (name: string): boolean => /^k2(_\d+)?$/.test(name);
const isPairVariable = (name: string): boolean => /^s(_\d+)?$/.test(name);

/** Analyses formulas that are computed together. */
export function scoreProgram(expressions: readonly Expression[]): ScoreProgram {
  const { instructions, outputs } = linearise(expressions);
  const rates = instructions.map(rateOf);
  const needed = new Set(outputs);
  for (let place = instructions.length - 1; place >= 0; place--) {
    if (needed.has(place)) for (const operand of instructions[place].operands) needed.add(operand);
  }
  const crossing = (rate: Rate): number[] =>
    instructions.flatMap((_, place) => {
      if (rates[place] !== rate || !needed.has(place)) return [];
      const crosses = instructions.some(
        (user, at) => needed.has(at) && rates[at] !== rate && user.operands.includes(place),
      );
      return crosses || outputs.includes(place) ? [place] : [];
    });
  return {
    instructions,
    outputs,
    rates,
    head: crossing("head"),
    rows: crossing("row"),
    keys: crossing("key"),
  };
}

function rateOf({ dependsOn, operation }: Instruction): Rate {
  const names = [...dependsOn];
  const [row, key] = [names.some(isRowVariable), names.some(isKeyNorm)];
  if (names.some(isPairVariable) || (row && key)) return "pair";
  if (row) return "row";
  if (key) return "key";
  return operation === "constant" ? "constant" : "head";
}

/** The numbers of {@link ScoreProgram.head} for given parameters, in f64. */
export function headTable(program: ScoreProgram, parameters: Readonly<Record<string, number>>): number[] {
  const values: number[] = [];
  program.instructions.forEach(({ operation, operands, leaf }, place) => {
    if (program.rates[place] !== "head" && program.rates[place] !== "constant") return;
    if (operation === "constant") values[place] = leaf as number;
    else if (operation === "variable") values[place] = parameters[leaf as string];
    else
      values[place] = arithmetic[operation](
        values[operands[0]],
        operands.length > 1 ? values[operands[1]] : 0,
      );
  });
  return program.head.map((place) => values[place]);
}

/** Where the code of one rate finds what it does not compute itself. */
export interface Sources {
  /** A variable (`s`, `q2`, `k2_1`…) as a vector. */
  readonly variable: (name: string) => Value;
  /** A value of another rate by its place in the list of that rate. */
  readonly crossing: (rate: "head" | "row" | "key", index: number) => Value;
}

/**
 * Emits what of a program changes at `rate` and returns the vectors of `wanted` places (of this rate or slower ones).
 */
export function emitProgram(
  b: FunctionBuilder,
  program: ScoreProgram,
  rate: "row" | "key" | "pair",
  wanted: readonly number[],
  sources: Sources,
): Value[] {
  const known = new Map<number, Value>();
  const uses = new Map<number, number>();
  const count = (place: number): void => {
    uses.set(place, (uses.get(place) ?? 0) + 1);
    if (uses.get(place) === 1 && program.rates[place] === rate)
      program.instructions[place].operands.forEach(count);
  };
  wanted.forEach(count);

  const get = (place: number): Value => {
    let found = known.get(place);
    if (found === undefined) {
      found = compute(place);
      known.set(place, found);
    }
    return found;
  };

  const hold = (place: number, value: Value): Value =>
    value.operation === "local.get" || value.operation === "v128.const" ? value : b.let(`v${place}`, value);

  const compute = (place: number): Value => {
    const { operation, operands, leaf } = program.instructions[place];
    const own = program.rates[place];
    if (own === "constant") return f32x4.constant(leaf as number);
    if (own !== rate) {
      const lists = { head: program.head, row: program.rows, key: program.keys };
      const kind = own as "head" | "row" | "key";
      return hold(place, sources.crossing(kind, lists[kind].indexOf(place)));
    }
    if (operation === "variable") return hold(place, sources.variable(leaf as string));
    if (operation === "constant") return f32x4.constant(leaf as number);
    const [left, right] = operands.map(get);
    return hold(place, vectorOperations[operation](b, left, right ?? left));
  };
  return wanted.map(get);
}
