/** @file The report as text for a terminal. */
import stringWidth from "string-width";
import { type PartsReport } from "./report.ts";
import { goalCells, goalColumns } from "./goal-cells.ts";

/** The report: machine, goals, and who was not there. */
export function reportText(report: PartsReport): string {
  const { machine, goals, absent, wrong, contestants, facts, rounds, threads } = report;
  const table = alignedTable(
    [goalColumns.map(({ title }) => title), ...goals.map(goalCells)],
    goalColumns.map(({ isNumber }) => isNumber),
  );
  return [
    `${machine.cores} × ${machine.cpu}, ${machine.memoryGB} GB, ${machine.platform}, Node ${machine.node}, load ${machine.load}; ` +
      `${threads} threads, medians of ${rounds} rounds`,
    ...contestants.flatMap(({ name, versions, threads: own, notes }) => [
      `${name}${Object.entries(versions).map(([, version]) => ` ${version}`)}: ${[`${own} ${own === 1 ? "thread" : "threads"}`, ...notes].join("; ")}`,
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

/** Lines of cells below each other; numbers end where their column does, as all columns but the first do unless told otherwise. */
export function alignedTable(
  rows: readonly (readonly string[])[],
  isNumber: readonly boolean[] = rows[0].map((_, column) => column > 0),
): readonly string[] {
  const widths = isNumber.map((_, column) => Math.max(...rows.map((row) => stringWidth(row[column]))));
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const space = " ".repeat(widths[column] - stringWidth(cell));
        return isNumber[column] ? space + cell : cell + space;
      })
      .join("  ")
      .trimEnd(),
  );
}
