/**
 * @file Which values of a score are stored. jax-js folds elementwise work into every kernel that reads its result: right for
 * a product, wrong for a logarithm that three kernels read, or for a root per query that is read for every pair.
 */
import { type Program } from "../../score/index.ts";
import { type Operation } from "../../score/expression.ts";

/**
 * Functions that jax-js computes number by number. A kernel that holds one does all its work that way, and finds the place
 * of every number that it reads by divisions: over all pairs they are kept apart from the arithmetic around them, which
 * then runs four numbers at a time.
 */
const slow: ReadonlySet<Operation> = new Set<Operation>([
  "exp",
  "log",
  "log1p",
  "sinh",
  "cosh",
  "tanh",
  "asinh",
  "logistic",
]);

/** Instructions that may be done again for another output; more are worth an array. */
const repeatable = 6;

/**
 * Places that get an array of their own: what need not be computed for every pair, slow functions of pairs and their
 * arguments, and what several outputs have in common.
 *
 * @param shapeOf - the shape of a variable; all of one rank, or scalar
 */
export function placesToStore(
  { instructions, outputs }: Program,
  shapeOf: (name: string) => readonly number[],
): ReadonlySet<number> {
  const sizes = instructions.map(({ dependsOn }) => sizeOver([...dependsOn].map(shapeOf)));
  const largest = Math.max(...sizes);
  const readers = outputsThatRead(instructions, outputs);
  const stored = new Set<number>();
  /** What is computed for a place since arrays were last stored. */
  const upstream: ReadonlySet<number>[] = [];
  const store = (place: number): void => {
    stored.add(place);
    upstream[place] = new Set();
  };
  const isSlow = (place: number): boolean =>
    slow.has(instructions[place].operation) || instructions[place].operation === "div";
  instructions.forEach(({ operation, operands }, place) => {
    for (const operand of operands) {
      const grows =
        sizes[operand] < sizes[place] &&
        [...upstream[operand]].some((each) => isSlow(each) || instructions[each].operation === "sqrt");
      const isArgument = slow.has(operation) && upstream[operand].size > 0;
      if (grows || isArgument) store(operand);
    }
    const isLeaf = operands.length === 0;
    upstream.push(new Set(isLeaf ? [] : [place, ...operands.flatMap((operand) => [...upstream[operand]])]));
    const isShared = readers[place].size > 1 && upstream[place].size > repeatable;
    const isResult = slow.has(operation) && sizes[place] === largest && !outputs.includes(place);
    if (isShared || isResult) store(place);
  });
  return stored;
}

/** For every place, which outputs depend on it. */
function outputsThatRead(
  instructions: Program["instructions"],
  outputs: readonly number[],
): readonly ReadonlySet<number>[] {
  const readers = instructions.map(() => new Set<number>());
  outputs.forEach((place, output) => readers[place].add(output));
  for (let place = instructions.length - 1; place >= 0; place--) {
    for (const operand of instructions[place].operands) {
      for (const output of readers[place]) readers[operand].add(output);
    }
  }
  return readers;
}

/** How many numbers the broadcast of these shapes has. */
function sizeOver(shapes: readonly (readonly number[])[]): number {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) =>
    Math.max(...shapes.map((shape) => shape[axis] ?? 1)),
  ).reduce((product, extent) => product * extent, 1);
}
