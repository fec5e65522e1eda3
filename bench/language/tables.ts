/** @file What a language model's report has beside goals, as tables for the terminal and for the document. */
import { milliseconds, tokensPerSecond } from "../attention/goal-cells.ts";
import { type LanguageReport } from "./report.ts";

/** Rows of cells, the first of which are titles. */
export type Table = readonly (readonly string[])[];

/** Tokens a second: a row for each case, a column for everybody. */
export function rateTable({ rates }: LanguageReport): Table {
  const names = [...new Set(rates.map(({ contestant }) => contestant))];
  const cases = [...new Set(rates.map(({ case: of }) => of))];
  return [
    ["tokens/s", ...names],
    ...cases.map((of) => [
      of,
      ...names.map((name) => {
        const rate = rates.find((own) => own.case === of && own.contestant === name);
        return rate === undefined
          ? "–"
          : tokensPerSecond(rate.tokens_per_s, rate.quartiles_per_s).replace(" tokens/s", "");
      }),
    ]),
  ];
}

/** What comes before the first token. */
export function startTable({ starts, start_tokens: tokens }: LanguageReport): Table {
  return [
    ["start", "loading", `first prompt of ${tokens} tokens`, "the same once more"],
    ...starts.map((own) => [
      own.contestant,
      milliseconds(own.load_ms, own.load_quartiles_ms),
      milliseconds(own.first_ms, own.first_quartiles_ms),
      milliseconds(own.second_ms, own.second_quartiles_ms),
    ]),
  ];
}
