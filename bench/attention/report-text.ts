/** @file The report as text for a terminal. */
import stringWidth from "string-width";
import { type PartsReport } from "./report.ts";
import { goalCells, goalColumns } from "./goal-cells.ts";

/** The report: machine, goals, and who was not there. */
export function reportText(report: PartsReport): string {
  const { machine, goals, absent, wrong, contestants, facts, rounds, threads } = report;
  const rows = [goalColumns.map(({ title }) => title), ...goals.map(goalCells)];
  const widths = goalColumns.map((_, column) => Math.max(...rows.map((row) => stringWidth(row[column]))));
  const table = rows.map((row) =>
    row
      .map((cell, column) => {
        const space = " ".repeat(widths[column] - stringWidth(cell));
        return goalColumns[column].isNumber ? space + cell : cell + space;
      })
      .join("  ")
      .trimEnd(),
  );
  return [
    `${machine.cores} × ${machine.cpu}, ${machine.memoryGB} GB, ${machine.platform}, Node ${machine.node}, load ${machine.load}; ` +
      `${threads} threads, medians of ${rounds} rounds`,
    ...contestants.flatMap(({ name, versions, threads: own, notes }) => [
      `${name}${Object.entries(versions).map(([, version]) => ` ${version}`)}: ${[`${own} threads`, ...notes].join("; ")}`,
    ]),
    ...Object.entries(facts).map(([name, value]) => `${name}: ${value}`),
    "",
    ...table,
    "",
    ...absent.map(
      ({ peer, case: of, reason }) => `absent: ${peer}${of === undefined ? "" : ` (${of})`}: ${reason}`,
    ),
    ...wrong.map(
      ({ peer, case: of, error }) => `wrong, not timed: ${peer} (${of}): ${error.toPrecision(2)} off`,
    ),
  ]
    .join("\n")
    .trimEnd();
}
