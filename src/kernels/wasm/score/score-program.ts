/**
 * @file A score and its derivatives as vector code: every instruction is computed where it changes, numbers of the head
 * before the call (in f64), those of a row once per row, those of a key once per key of a tile, and the rest per pair.
 */
import { arithmetic, type Expression, type Instruction, linearise } from "../../../score/index.ts";
import { type Operation, type UnaryOperation } from "../../../score/expression.ts";
import { f32x4, type FunctionBuilder, type Value } from "../assembler/assembler.ts";
import { factorGatherer } from "./gather-factors.ts";
import { type Interval, intervalOf, intervalOfVariable } from "./intervals.ts";
import { joinRates, type Rate, rateOfVariable } from "./rates.ts";
import { operationsOfNonNegative, vectorOperations } from "../assembler/vector-math.ts";

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
  /** Between which numbers the value of each instruction lies. */
  readonly intervals: readonly Interval[];
}

/** Analyses formulas that are computed together. The first is computed by the same operations whatever follows it. */
export function scoreProgram(
  expressions: readonly Expression[],
  { nonNegativeNames }: { readonly nonNegativeNames: readonly string[] },
): ScoreProgram {
  const nonNegative = new Set(nonNegativeNames);
  const { instructions, outputs } = linearise(expressions.map(factorGatherer(nonNegative)));
  const rates: Rate[] = [];
  const intervals: Interval[] = [];
  for (const { operation, operands, leaf } of instructions) {
    if (operation === "constant") {
      rates.push("constant");
      intervals.push({ low: leaf as number, high: leaf as number });
    } else if (operation === "variable") {
      rates.push(rateOfVariable(leaf as string));
      intervals.push(intervalOfVariable(leaf as string, nonNegative));
    } else {
      rates.push(joinRates(operands.map((operand) => rates[operand])));
      const isSquare = operands[0] === operands[1];
      intervals.push(
        intervalOf(
          operation,
          operands.map((operand) => intervals[operand]),
          isSquare,
        ),
      );
    }
  }
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
    intervals,
    head: crossing("head"),
    rows: crossing("row"),
    keys: crossing("key"),
  };
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
    const { operation, leaf } = program.instructions[place];
    const own = program.rates[place];
    if (own === "constant") return f32x4.constant(leaf as number);
    if (own !== rate) {
      const lists = { head: program.head, row: program.rows, key: program.keys };
      const kind = own as "head" | "row" | "key";
      return hold(place, sources.crossing(kind, lists[kind].indexOf(place)));
    }
    if (operation === "variable") return hold(place, sources.variable(leaf as string));
    if (operation === "constant") return f32x4.constant(leaf as number);
    return hold(place, joined(place) ?? plain(place));
  };
  const plain = (place: number): Value => {
    const { operation, operands } = program.instructions[place];
    const [left, right] = operands.map(get);
    const isNonNegative = program.intervals[operands[0]].low >= 0;
    const ofNonNegative = isNonNegative ? operationsOfNonNegative[operation as UnaryOperation] : undefined;
    if (ofNonNegative !== undefined) return ofNonNegative(b, left);
    return vectorOperations[operation as UnaryOperation](b, left, right ?? left);
  };

  /** Two operations as one: a product with a sum, a gate with a product. What else uses them makes no difference. */
  const joined = (place: number): Value | undefined => {
    const { operation, operands } = program.instructions[place];
    if (operands.length < 2) return undefined;
    const [left, right] = operands;
    const isPaired = (operand: number, name: Operation): boolean =>
      program.instructions[operand].operation === name && program.rates[operand] === rate;
    const factors = (operand: number): Value[] => program.instructions[operand].operands.map(get);
    const isProduct = (operand: number): boolean =>
      isPaired(operand, "mul") &&
      !program.instructions[operand].operands.some((one) => isPaired(one, "step"));
    switch (operation) {
      case "mul": {
        const gate = [left, right].find((operand) => isPaired(operand, "step"));
        if (gate === undefined) return undefined;
        const [opener] = factors(gate);
        const amount = get(gate === left ? right : left);
        return f32x4.and(amount, f32x4.greater(opener, f32x4.constant(0)));
      }
      case "add": {
        const product = [left, right].find(isProduct);
        if (product === undefined) return undefined;
        const [a, c] = factors(product);
        return b.madd(a, c, get(product === left ? right : left));
      }
      case "sub": {
        // A difference of two products stays as it is: equal products cancel.
        if (!isProduct(right) || isProduct(left)) return undefined;
        const [a, c] = factors(right);
        return b.nmadd(a, c, get(left));
      }
      default:
        return undefined;
    }
  };
  return wanted.map(get);
}
