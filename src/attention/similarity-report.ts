/** @file What `checkSimilarity` reports, and the report as a table. */

/** What came out of one law on one backend. */
export interface LawReport {
  readonly backend: string;
  readonly law: string;
  /** The largest error seen, relative to the largest number compared; infinite where numbers are not finite. */
  readonly error: number;
  /** What would still pass; 0 where bits must agree. */
  readonly tolerance: number;
  readonly passed: boolean;
  /** What went wrong, for laws that could not be computed at all. */
  readonly problem?: string;
}

/** All laws of one similarity. */
export interface SimilarityReport {
  /** The similarity as a selector. */
  readonly similarity: string;
  readonly laws: readonly LawReport[];
  readonly passed: boolean;
}

/** The report as a table in plain text, one law a line. */
export function printReport({ similarity, laws, passed }: SimilarityReport): string {
  const number = (value: number): string => (value === 0 ? "0" : value.toExponential(1));
  const rows = laws.map(({ backend, law, error, tolerance, passed, problem }) => [
    backend,
    law,
    number(error),
    number(tolerance),
    passed ? "ok" : (problem ?? "FAILED"),
  ]);
  const table = [["backend", "law", "error", "allowed", ""], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column].length)));
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return [`${similarity}: ${passed ? "keeps the laws" : "breaks a law"}`, ...lines].join("\n");
}
