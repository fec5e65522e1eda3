/** @file The report of a language model as text for a terminal. */
import { alignedTable, reportText } from "../attention/report-text.ts";
import { type LanguageReport } from "./report.ts";
import { rateTable, startTable } from "./tables.ts";

/** As of every benchmark, and the tables that only this one has. */
export function languageReportText(report: LanguageReport): string {
  const tables = [rateTable(report), startTable(report)].filter((table) => table.length > 1);
  return [reportText(report), ...tables.map((table) => alignedTable(table).join("\n"))].join("\n\n");
}
