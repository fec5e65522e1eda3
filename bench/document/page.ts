/** @file docs/performance.md as text, made of the reports of all Node versions: every figure in it is a measured one. */
import { goalCells, goalColumns } from "../attention/goal-cells.ts";
import { type AttentionReport } from "../attention/report.ts";

/**
 * The page.
 *
 * @param reports - one for each version of Node, the newest first
 */
export function performancePage(reports: readonly AttentionReport[]): string {
  return [
    "# Performance",
    "",
    "The fused kernels of `--device wasm` beside everything else that computes such attentions in JavaScript, and beside eager",
    "PyTorch. This page and its figure are written by `npm run bench -- attention --preset peers --write`; nothing in them is typed",
    "by hand.",
    "",
    "![Time of causal dot-product attention against the length of the sequence, both axes logarithmic](performance.svg)",
    "",
    `_Forward pass of causal dot-product attention, 4 heads, D = 64, on ${threadsText(reports[0])}, Node ${reports[0].machine.node}: milliseconds`,
    "against N. A line ends where one run would take too long._",
    "",
    "## How it is measured",
    "",
    "- Every contestant is a process of its own. All contestants of a row, ours among them, run in the same rounds, one after the",
    "  other, so that what slows the machine down slows all of them down.",
    "- A time is the median over the rounds, its quartiles in brackets; a ratio is that of the medians: their time over ours, or",
    "  the share of a limit that we reach.",
    "- Correctness comes first: ours is compared with the f64 reference, the others with ours. Who is wrong is not timed, who cannot",
    "  run is listed as absent with the reason, and neither counts as beaten.",
    "- Peers are used in the form that was fastest for them: compiled functions and arrays that stay where they are in jax-js, one",
    "  matrix product with an added mask in PyTorch (`cdist` for l1), sessions made beforehand in ONNX Runtime.",
    "- The WebAssembly limit is the bare register tile on data in the first cache, on all threads at the same time, measured in the",
    "  same rounds; the row says which share of it the whole attention reaches, with only the products of the pass counted as work.",
    "- The exponent is the slope of log time over log N by least squares. Memory is that of WebAssembly, and what the process grew by",
    "  over what it held before the call: compiled kernels and its inputs.",
    ...reports.flatMap(section),
    "",
  ].join("\n");
}

function section(report: AttentionReport): readonly string[] {
  const { machine, goals, absent, wrong, contestants, facts, rounds, date, commit } = report;
  const row = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const counted = goals.filter(({ reached }) => reached !== null);
  return [
    "",
    `## Node ${machine.node}`,
    "",
    `${machine.cores} × ${machine.cpu}, ${machine.memoryGB} GB, ${machine.platform}; load ${machine.load} before the start; ${threadsText(report)};` +
      ` medians of ${rounds} rounds; ${date}${commit === null ? "" : `, commit ${commit}`}.`,
    ...(facts["micro_kernel_gflops"] === undefined
      ? []
      : [`The bare micro-kernel reaches ${facts["micro_kernel_gflops"]} GFLOP/s on all threads together.`]),
    `${counted.filter(({ reached }) => reached).length} of ${counted.length} goals are reached.`,
    "",
    row(goalColumns.map(({ title }) => title)),
    row(goalColumns.map(({ isNumber }) => (isNumber ? "---:" : "---"))),
    ...goals.map((goal) =>
      row(goalCells(goal).map((cell, column) => (column === 1 ? caseText(cell) : cell))),
    ),
    "",
    ...contestants.map(({ name, versions, threads, notes }) => {
      const version = Object.values(versions).map((word) => ` ${word}`);
      return `- ${name}${version.join("")}: ${[`${threads} ${threads === 1 ? "thread" : "threads"}`, ...notes].join("; ")}.`;
    }),
    ...(absent.length === 0 ? ["", "Nobody was absent."] : ["", "Absent:", ""]),
    ...absent.map(
      ({ peer, case: of, reason }) => `- ${peer}${of === undefined ? "" : ` (${caseText(of)})`}: ${reason}`,
    ),
    ...(wrong.length === 0 ? [] : ["", "Wrong, and therefore not timed:", ""]),
    ...wrong.map(({ peer, case: of, error }) => `- ${peer} (${caseText(of)}): ${error.toPrecision(2)} off`),
  ];
}

/** A case begins with a selector. */
function caseText(words: string): string {
  return words.replace(
    /^[a-z0-9-]+\+[^ ]*?(?=, (?:forward|micro|training))/,
    (selector) => `\`${selector}\``,
  );
}

function threadsText({ threads }: AttentionReport): string {
  return `${threads} ${threads === 1 ? "thread" : "threads"}`;
}
