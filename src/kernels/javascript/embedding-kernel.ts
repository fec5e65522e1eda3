/**
 * @file Scores between rows of one table of vectors, and their gradients, as JavaScript in f64 emitted for one similarity
 * and width: inner reductions unrolled, the score's instructions inlined. For embeddings, where every pair is of the table.
 */
import { UnsupportedError } from "../../base/errors.ts";
import { derivative, type Expression, printJavaScript } from "../../score/index.ts";
import {
  guards,
  type InnerName,
  type Similarity,
  type Term,
  termVariables,
} from "../../similarities/index.ts";

/** The emitted functions. Rows are numbers of vectors in the table; `parameters` in the order of `parameterNames`. */
export interface EmbeddingKernel {
  readonly parameterNames: readonly string[];
  /** How many numbers `slopes` holds for one pair. */
  readonly slopeCount: number;
  /** s of rows u and v. */
  score(table: Float64Array, u: number, v: number, parameters: Float64Array): number;
  /** s of rows u and v; also writes its derivatives to `slopes` from place `at`, for `accumulate`. */
  scoreWithSlopes(
    table: Float64Array,
    u: number,
    v: number,
    parameters: Float64Array,
    slopes: Float64Array,
    at: number,
  ): number;
  /** Adds `cotangent` × ∂s to `gradient` (laid out as the table) and to `parameterGradient`. */
  accumulate(
    cotangent: number,
    table: Float64Array,
    u: number,
    v: number,
    slopes: Float64Array,
    at: number,
    gradient: Float64Array,
    parameterGradient: Float64Array,
  ): void;
}

/** Unrolled code beyond this width would be larger than any engine optimises. */
const widestUnrolled = 256;

/**
 * Emits the kernel of a similarity.
 *
 * @param similarity - without a per-coordinate metric
 * @param width - coordinates of a row, at most 256
 * @throws UnsupportedError `embedding-kernel`, ShapeError when the width does not fit the similarity
 */
export function embeddingKernel(similarity: Similarity, width: number): EmbeddingKernel {
  if (similarity.metric !== undefined || width > widestUnrolled) {
    throw new UnsupportedError(
      "embedding-kernel",
      `Cannot embed with '${similarity.name}' at width ${width} as rows are compared coordinate by coordinate in unrolled code: ` +
        `a metric per coordinate or more than ${widestUnrolled} coordinates do not fit. Use l2, or fewer coordinates`,
    );
  }
  const terms = similarity.terms(width);
  const parameterNames = similarity.parameters.map(({ name }) => name);
  const rows = [
    `const a = u * ${width}, b = v * ${width};`,
    ...coordinates(width).flatMap((d) => [
      `const x${d} = table[a + ${d}];`,
      `const y${d} = table[b + ${d}];`,
    ]),
  ];
  const prologue = [
    `const guard = ${guards.f64};`,
    ...rows,
    ...parameterNames.map((name, index) => `const ${name} = parameters[${index}];`),
    ...terms.flatMap(reduction),
  ];
  const slopeNames = [...terms.flatMap((_, index) => Object.values(termVariables(index))), ...parameterNames];
  const slopes = slopeNames.map((name) => derivative(similarity.score, name));
  const slope = (index: number): string => `slopes[at + ${index}]`;
  const finish = (formulas: readonly Expression[]): readonly string[] => [
    printJavaScript(formulas),
    ...slopes.slice(0, formulas.length - 1).map((_, index) => `${slope(index)} = out[${index + 1}];`),
    "return out[0];",
  ];
  const pullBacksOfTerms = terms.flatMap((term, index) => [
    ...(term.inner === "range" ? reductions.range(blockOf(term), termVariables(index).inner) : []),
    ...pullBack(term, index, slope),
  ]);
  const out = new Float64Array(slopes.length + 1);
  const compile = (names: readonly string[], body: readonly string[]): ((...given: unknown[]) => number) =>
    new Function("out", ...names, body.join("\n")).bind(undefined, out) as (...given: unknown[]) => number;
  const pair = ["table", "u", "v", "parameters"];
  return {
    parameterNames,
    slopeCount: slopes.length,
    score: compile(pair, [...prologue, ...finish([similarity.score])]),
    scoreWithSlopes: compile(
      [...pair, "slopes", "at"],
      [...prologue, ...finish([similarity.score, ...slopes])],
    ),
    accumulate: compile(
      ["cotangent", "table", "u", "v", "slopes", "at", "gradient", "parameterGradient"],
      [
        ...rows,
        ...pullBacksOfTerms,
        ...parameterNames.map(
          (_, index) => `parameterGradient[${index}] += cotangent * ${slope(3 * terms.length + index)};`,
        ),
      ],
    ),
  };
}

const coordinates = (width: number): readonly number[] => Array.from({ length: width }, (_, d) => d);

const blockOf = ({ start, stop }: Term): readonly number[] => coordinates(stop).slice(start);

const sum = (parts: readonly string[]): string => parts.join(" + ");

/** Inner reduction and squared norms of one term. */
function reduction(term: Term, index: number): readonly string[] {
  const { inner, queryNorm, keyNorm } = termVariables(index);
  const block = blockOf(term);
  return [
    ...reductions[term.inner](block, inner),
    `const ${queryNorm} = ${sum(block.map((d) => `x${d} * x${d}`))};`,
    `const ${keyNorm} = ${sum(block.map((d) => `y${d} * y${d}`))};`,
  ];
}

const reductions: Readonly<Record<InnerName, (block: readonly number[], name: string) => readonly string[]>> =
  {
    dot: (block, name) => [`const ${name} = ${sum(block.map((d) => `x${d} * y${d}`))};`],
    symplectic: (block, name) => [
      `const ${name} = ${sum(evens(block).map((d) => `x${d + 1} * y${d} - x${d} * y${d + 1}`))};`,
    ],
    l1: (block, name) => [`const ${name} = ${sum(block.map((d) => `Math.abs(x${d} - y${d})`))};`],
    range: (block, name) => [
      ...block.map((d) => `const ${name}_d${d} = x${d} - y${d};`),
      `const ${name}_high = Math.max(${block.map((d) => `${name}_d${d}`).join(", ")});`,
      `const ${name}_low = Math.min(${block.map((d) => `${name}_d${d}`).join(", ")});`,
      `const ${name} = ${name}_high - ${name}_low;`,
    ],
  };

const evens = (block: readonly number[]): readonly number[] => block.filter((_, index) => index % 2 === 0);

/** Adds the gradient of one term to the rows. */
function pullBack(term: Term, index: number, slope: (index: number) => string): readonly string[] {
  const [byInner, byU2, byV2] = [0, 1, 2].map((offset) => `cotangent * ${slope(3 * index + offset)}`);
  const block = blockOf(term);
  const names = { s: `g${index}s`, u: `g${index}u`, v: `g${index}v` };
  return [
    `const ${names.s} = ${byInner}, ${names.u} = 2 * ${byU2}, ${names.v} = 2 * ${byV2};`,
    ...block.flatMap((d) => [
      `gradient[a + ${d}] += ${names.u} * x${d};`,
      `gradient[b + ${d}] += ${names.v} * y${d};`,
    ]),
    ...pullBacks[term.inner](block, names.s, termVariables(index).inner),
  ];
}

const pullBacks: Readonly<
  Record<InnerName, (block: readonly number[], slope: string, name: string) => readonly string[]>
> = {
  dot: (block, slope) =>
    block.flatMap((d) => [
      `gradient[a + ${d}] += ${slope} * y${d};`,
      `gradient[b + ${d}] += ${slope} * x${d};`,
    ]),
  symplectic: (block, slope) =>
    evens(block).flatMap((d) => [
      `gradient[a + ${d}] -= ${slope} * y${d + 1};`,
      `gradient[a + ${d + 1}] += ${slope} * y${d};`,
      `gradient[b + ${d}] += ${slope} * x${d + 1};`,
      `gradient[b + ${d + 1}] -= ${slope} * x${d};`,
    ]),
  l1: (block, slope) =>
    block.flatMap((d) => [
      `gradient[a + ${d}] += ${slope} * Math.sign(x${d} - y${d});`,
      `gradient[b + ${d}] -= ${slope} * Math.sign(x${d} - y${d});`,
    ]),
  range: (block, slope, name) =>
    ["high", "low"].flatMap((end) => [
      `const ${name}_at_${end} = ${block.map((d) => `${name}_d${d} === ${name}_${end} ? ${d} : `).join("")}0;`,
      `gradient[a + ${name}_at_${end}] ${end === "high" ? "+" : "-"}= ${slope};`,
      `gradient[b + ${name}_at_${end}] ${end === "high" ? "-" : "+"}= ${slope};`,
    ]),
};
