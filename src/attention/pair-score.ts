/**
 * @file The score of one pair and its gradient in f64: inner reductions, then the similarity's expression, compiled with
 * its symbolic derivatives.
 */
import { type Tensor64 } from "../base/tensor.ts";
import { type CompiledScore, compileJavaScript, derivative } from "../score/index.ts";
import { inners, type Similarity, termVariables } from "../similarities/index.ts";
import { type LiftedHead } from "./lifted-head.ts";

/** Scores pairs of one similarity at one width. */
export interface PairScore {
  /** s_ij of query row i and key row j of a head. */
  score(head: LiftedHead, query: number, key: number, parameters: Float64Array): number;
  /**
   * Adds `cotangent` × ∂s_ij to the gradients of the head's rows and of the parameters (in the order of
   * `parameterNames`).
   */
  accumulate(
    cotangent: number,
    head: LiftedHead,
    query: number,
    key: number,
    parameters: Float64Array,
    headGradient: LiftedHead,
    parameterGradient: Float64Array,
  ): void;
  /** The similarity's scalar parameters, in the order in which their values are passed. */
  readonly parameterNames: readonly string[];
}

/**
 * Compiles the score of pairs.
 *
 * @param similarity - how to compare
 * @param width - D
 * @param guard - the smallest square under a root, see `guards`
 */
export function pairScore(similarity: Similarity, width: number, guard: number): PairScore {
  const terms = similarity.terms(width);
  const variables = terms.map((_, index) => termVariables(index));
  const parameterNames = similarity.parameters
    .map(({ name }) => name)
    .filter((name) => name !== similarity.metric);
  const termNames = variables.flatMap(({ inner, queryNorm, keyNorm }) => [inner, queryNorm, keyNorm]);
  const { evaluateScore, evaluateDerivatives } = compiledOf(similarity, [...termNames, ...parameterNames]);
  const scoreOut = new Float64Array(1);
  const derivativesOut = new Float64Array(termNames.length + parameterNames.length);
  const { dot } = inners;

  const arguments_ = (
    { queries, keys }: LiftedHead,
    query: number,
    key: number,
    parameters: Float64Array,
  ): number[] => [
    ...terms.flatMap((term) => [
      inners[term.inner].reduce(queries, query * width, keys, key * width, term),
      dot.reduce(queries, query * width, queries, query * width, term),
      dot.reduce(keys, key * width, keys, key * width, term),
    ]),
    ...parameters,
    guard,
  ];

  return {
    parameterNames,
    score(head, query, key, parameters) {
      evaluateScore(scoreOut, ...arguments_(head, query, key, parameters));
      return scoreOut[0];
    },
    accumulate(cotangent, head, query, key, parameters, headGradient, parameterGradient) {
      evaluateDerivatives(derivativesOut, ...arguments_(head, query, key, parameters));
      const [queryAt, keyAt] = [query * width, key * width];
      terms.forEach((term, index) => {
        const [byInner, byQueryNorm, byKeyNorm] = derivativesOut.subarray(3 * index, 3 * index + 3);
        const { queries, keys } = headGradient;
        inners[term.inner].accumulate(
          cotangent * byInner,
          head.queries,
          queryAt,
          head.keys,
          keyAt,
          term,
          queries,
          keys,
        );
        for (let d = term.start; d < term.stop; d++) {
          queries[queryAt + d] += 2 * cotangent * byQueryNorm * head.queries[queryAt + d];
          keys[keyAt + d] += 2 * cotangent * byKeyNorm * head.keys[keyAt + d];
        }
      });
      parameterNames.forEach((_, index) => {
        parameterGradient[index] += cotangent * derivativesOut[3 * terms.length + index];
      });
    },
  };
}

/** A similarity's score and its derivatives by all its variables, as functions of these and the guard. */
interface CompiledSimilarity {
  readonly evaluateScore: CompiledScore;
  readonly evaluateDerivatives: CompiledScore;
}

const compiled = new WeakMap<Similarity, Map<string, CompiledSimilarity>>();

/** Derived and compiled once for all calls of a similarity with as many terms. */
function compiledOf(similarity: Similarity, names: readonly string[]): CompiledSimilarity {
  const ofNames = compiled.get(similarity) ?? new Map<string, CompiledSimilarity>();
  compiled.set(similarity, ofNames);
  const key = names.join(" ");
  const found = ofNames.get(key) ?? compile(similarity, names);
  ofNames.set(key, found);
  return found;
}

function compile({ score }: Similarity, names: readonly string[]): CompiledSimilarity {
  const inputs = [...names, "guard"];
  const derivatives = names.map((name) => derivative(score, name));
  return {
    evaluateScore: compileJavaScript([score], inputs),
    evaluateDerivatives: compileJavaScript(derivatives, inputs),
  };
}

/** The scalar parameters of one head, in the order of `names`. */
export function headValues(
  names: readonly string[],
  parameters: Readonly<Record<string, Tensor64>>,
  head: number,
): Float64Array {
  return Float64Array.from(names, (name) => parameters[name].data[head]);
}
