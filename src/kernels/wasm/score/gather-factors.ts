/**
 * @file Formulas as sums of products, each product sorted by how often its factors change: constants and numbers of the
 * head, of the row, of the key, of the pair. Products of slow factors are computed once per row or key, equal factors of
 * pairs once for all terms and derivatives, and one division serves all that is divided.
 */
import {
  add,
  constant,
  constantOf,
  div,
  type Expression,
  exp,
  mul,
  neg,
  sqrt,
  sub,
} from "../../../score/expression.ts";
import { evaluate } from "../../../score/index.ts";
import { intervals, type NonNegative } from "./intervals.ts";
import {
  cancels,
  collected,
  type Factors,
  inverse,
  isPowerOfTwo,
  nameOf,
  noFactors,
  none,
  scaled,
  type Slow,
  type Term,
  times,
} from "./product-terms.ts";
import { rateOf } from "./rates.ts";
import { rebuilt } from "./simplify-score.ts";

/** e^x and e^−x of what lies within it, and their products, are far from the ends of float32. */
const largestExponent = 43;

/** Makes a gatherer; expressions given to the same one share what they have in common. */
export function factorGatherer(positive: NonNegative): (expression: Expression) => Expression {
  const places = new Map<string, number>();
  const atoms: Expression[] = [];
  const known = new Map<Expression, readonly Term[]>();
  const intervalOf = intervals(positive);
  const numberOf = numbering(places, atoms);

  const termsOf = (expression: Expression): readonly Term[] => {
    let found = known.get(expression);
    if (found === undefined) {
      found = collected(expand(expression));
      known.set(expression, found);
    }
    return found;
  };

  const atom = (expression: Expression): Term => {
    const rate = rateOf(expression) as Slow;
    return {
      number: 1,
      factors: { ...noFactors, [rate]: { above: [numberOf(expression)], below: [] } },
    };
  };

  function expand(expression: Expression): readonly Term[] {
    const { operation, operands, leaf } = expression;
    if (operation === "constant") return [{ number: leaf as number, factors: noFactors }];
    if (operation === "variable") return [atom(expression)];
    const [a, b] = operands;
    switch (operation) {
      case "neg":
        return termsOf(a).map((term) => scaled(term, -1));
      case "add":
      case "sub":
        // Sums that change slowly stay whole: they are a factor of pairs.
        if (rateOf(expression) !== "pair") break;
        return [...termsOf(a), ...termsOf(b).map((term) => scaled(term, operation === "sub" ? -1 : 1))];
      case "mul":
        return productOf(termsOf(a), termsOf(b));
      case "div": {
        const divisor = single(termsOf(b));
        return productOf(termsOf(a), [inverse(divisor)]);
      }
      case "sqrt": {
        // What asinh x computes for itself is left as it is, so that its slope 1/√(1 + x²) finds it done.
        const argument = argumentOfAsinh(a);
        if (argument === undefined) break;
        const x = sumOf(termsOf(argument));
        return [atom(sqrt(add(1, mul(x, x))))];
      }
      case "sinh":
      case "cosh": {
        const split = exponentials(operation, termsOf(a));
        if (split !== undefined) return [scaled(atom(split), 0.5)];
        break;
      }
      default:
        break;
    }
    const rewritten = rebuilt(
      expression,
      operands.map((operand) => sumOf(termsOf(operand))),
    );
    if (rateOf(rewritten) !== "constant") return [atom(rewritten)];
    return [{ number: evaluate(rewritten, {}), factors: noFactors }];
  }

  /** e^a·e^b ∓ e^−a·e^−b for a + b of a row and a key: twice sinh(a + b) or cosh(a + b). */
  function exponentials(operation: "sinh" | "cosh", terms: readonly Term[]): Expression | undefined {
    const isOf = ({ factors }: Term, other: "row" | "key"): boolean =>
      factors.pair === none && factors[other] === none;
    const [ofRow, ofKey] = [
      terms.filter((term) => isOf(term, "key")),
      terms.filter((term) => isOf(term, "row")),
    ];
    if (ofRow.length === 0 || ofKey.length === 0 || ofRow.length + ofKey.length !== terms.length)
      return undefined;
    const [row, key] = [sumOf(ofRow), sumOf(ofKey)];
    const isSmall = [row, key].every((part) => {
      const { low, high } = intervalOf(part);
      return low >= -largestExponent && high <= largestExponent;
    });
    if (!isSmall) return undefined;
    const [grown, shrunk] = [mul(exp(row), exp(key)), mul(exp(neg(row)), exp(neg(key)))];
    return operation === "sinh" ? sub(grown, shrunk) : add(grown, shrunk);
  }

  /** A sum as one term. */
  function single(terms: readonly Term[]): Term {
    if (terms.length === 1) return terms[0];
    const sum = sumOf(terms);
    return rateOf(sum) === "constant" ? { number: evaluate(sum, {}), factors: noFactors } : atom(sum);
  }

  /** Sums are multiplied out only where that costs a pair nothing. */
  function productOf(left: readonly Term[], right: readonly Term[]): readonly Term[] {
    const isSlow = (terms: readonly Term[]): boolean =>
      terms.length === 1 &&
      terms[0].factors.pair === none &&
      (terms[0].factors.row === none || terms[0].factors.key === none);
    if (isSlow(left) && (isPowerOfTwo(left[0]) || !cancels(right)))
      return right.map((term) => times(left[0], term));
    if (isSlow(right) && (isPowerOfTwo(right[0]) || !cancels(left)))
      return left.map((term) => times(term, right[0]));
    return [times(single(left), single(right))];
  }

  const product = ({ above, below }: Factors): Expression => {
    const numerator = above.map((place) => atoms[place]).reduce((a, b) => mul(a, b), constant(1));
    if (below.length === 0) return numerator;
    // The quotient comes first: all that is divided by the same factors shares it.
    const quotient = div(
      1,
      below.map((place) => atoms[place]).reduce((a, b) => mul(a, b)),
    );
    return above.map((place) => atoms[place]).reduce((a, b) => mul(a, b), quotient);
  };

  /** The expression of a sum of terms, with the factors of the rate that separates fewest of its terms taken out. */
  function sumOf(terms: readonly Term[]): Expression {
    if (terms.length === 0) return constant(0);
    const groupsBy = (rate: "row" | "key"): Map<string, Term[]> => {
      const groups = new Map<string, Term[]>();
      for (const term of terms) {
        const name = nameOf(term.factors[rate]);
        groups.set(name, [...(groups.get(name) ?? []), term]);
      }
      return groups;
    };
    const [byRow, byKey] = [groupsBy("row"), groupsBy("key")];
    const [outer, inner, groups] =
      byRow.size < byKey.size ? (["row", "key", byRow] as const) : (["key", "row", byKey] as const);
    let sum: Expression | undefined;
    const include = (amount: Expression, isNegative: boolean): void => {
      if (sum === undefined) sum = isNegative ? neg(amount) : amount;
      else sum = isNegative ? sub(sum, amount) : add(sum, amount);
    };
    for (const group of groups.values()) {
      const common = group[0].factors[outer];
      const isAlone = group.length === 1;
      const ofPairs = new Map<string, Term[]>();
      for (const term of group) {
        const name = nameOf(term.factors.pair);
        ofPairs.set(name, [...(ofPairs.get(name) ?? []), term]);
      }
      const isPlain = isAlone && group[0].factors[inner] === none;
      if (isPlain) {
        // Numbers of the head join the slowest factor there is.
        const [{ number, factors }] = group;
        const slow = mul(coefficient(Math.abs(number), factors.head), product(common));
        include(mul(product(factors.pair), slow), number < 0);
        continue;
      }
      if (ofPairs.size === 1) {
        const slow = coefficientsOf(group, inner);
        const { value, isNegative } = slow;
        include(mul(mul(product(group[0].factors.pair), value), product(common)), isNegative);
        continue;
      }
      let inside: Expression | undefined;
      for (const same of ofPairs.values()) {
        const { value, isNegative } = coefficientsOf(same, inner);
        const amount = mul(product(same[0].factors.pair), value);
        if (inside === undefined) inside = isNegative ? neg(amount) : amount;
        else inside = isNegative ? sub(inside, amount) : add(inside, amount);
      }
      include(mul(inside!, product(common)), false);
    }
    return sum!;
  }

  const coefficient = (number: number, head: Factors): Expression => mul(number, product(head));

  /** Σ number · head · inner factors of terms that share the rest. */
  function coefficientsOf(
    terms: readonly Term[],
    inner: "row" | "key",
  ): { readonly value: Expression; readonly isNegative: boolean } {
    const isNegative = terms.every(({ number }) => number < 0);
    const parts = terms.map(({ number, factors }) =>
      mul(coefficient(isNegative ? -number : number, factors.head), product(factors[inner])),
    );
    return { value: parts.reduce((a, b) => add(a, b)), isNegative };
  }

  return (expression) => (rateOf(expression) === "pair" ? sumOf(termsOf(expression)) : expression);
}

/** x of a 1 + x² that changes from pair to pair. */
function argumentOfAsinh(sum: Expression): Expression | undefined {
  if (sum.operation !== "add" || rateOf(sum) !== "pair") return undefined;
  const [one, square] = sum.operands;
  const isSquare = square.operation === "mul" && square.operands[0] === square.operands[1];
  return constantOf(one) === 1 && isSquare ? square.operands[0] : undefined;
}

/** Gives equal expressions equal numbers. */
function numbering(places: Map<string, number>, atoms: Expression[]): (expression: Expression) => number {
  const known = new Map<Expression, number>();
  const numberOf = (expression: Expression): number => {
    let found = known.get(expression);
    if (found !== undefined) return found;
    const { operation, operands, leaf } = expression;
    const name = `${operation} ${leaf ?? ""} ${operands.map(numberOf).join(" ")}`;
    found = places.get(name);
    if (found === undefined) {
      found = atoms.push(expression) - 1;
      places.set(name, found);
    }
    known.set(expression, found);
    return found;
  };
  return numberOf;
}
