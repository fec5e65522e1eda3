/** @file A run under way as one line: with a bar where it is redrawn in place, as words where lines are kept. */
import { texts } from "../dictionary/runs.ts";
import { type Bilingual } from "../language.ts";
import { printDuration, printNumber, printQuantity } from "../quantities.ts";
import { cutMiddle, cutTo, padTo, widthOf } from "../wrap.ts";

/** How a run stands. */
export interface RunStanding {
  readonly label: string;
  /** Steps done. */
  readonly step: number;
  readonly steps: number;
  /** What lines that are kept say in place of the step, such as bytes of a file. */
  readonly amount?: string;
  readonly loss?: number | undefined;
  readonly itemsPerSecond: number;
  /** What the rate counts. */
  readonly unit: string;
  readonly timeLeftMs: number;
}

type Say = (text: Bilingual) => string;

/** Colours the done and the open part of a bar. */
export interface BarStyle {
  readonly done: (text: string) => string;
  readonly open: (text: string) => string;
}

const gap = "  ";
const longestBar = 20;
const shortestBar = 6;
const shortestLabel = 20;

/** For a log: `recall · l2: step 120/300, loss 0.52, 1.2k queries/s, 12 s left`. */
export function plainLine(standing: RunStanding, say: Say): string {
  const { label, step, steps, amount = say(texts.step(step, steps)) } = standing;
  return `${label}: ${[amount, ...facts(standing, say)].join(", ")}`;
}

/** How a live line is drawn. */
export interface LineLayout {
  readonly say: Say;
  /** At most so wide. */
  readonly columns: number;
  /** The widest label of all lines, so that they align. */
  readonly labelColumns: number;
  readonly style: BarStyle;
}

/**
 * For a terminal: label, bar, share, loss, rate, time left. Where there is no room for all, the bar goes first, then the
 * middle of the label, then the rate, then the loss.
 */
export function liveLine(standing: RunStanding, { say, columns, labelColumns, style }: LineLayout): string {
  const { label, step, steps } = standing;
  const share = steps === 0 ? 1 : Math.min(1, step / steps);
  const percent = `${Math.floor(100 * share)}%`.padStart(4);
  const [loss, rate, left] = factColumns(standing, say);
  for (const facts of [[loss, rate, left], [loss, left], [left]]) {
    const words = [percent, ...facts.filter((fact) => fact !== "")].join(gap);
    const room = columns - widthOf(words) - gap.length;
    const barColumns = Math.min(longestBar, room - labelColumns - gap.length);
    if (barColumns >= shortestBar) {
      const done = Math.round(share * barColumns);
      const bar = style.done("━".repeat(done)) + style.open("╌".repeat(barColumns - done));
      return [padTo(label, labelColumns), bar, words].join(gap);
    }
    if (room >= Math.min(labelColumns, shortestLabel)) {
      const shown = Math.min(labelColumns, room);
      return [padTo(cutMiddle(label, shown), shown), words].join(gap);
    }
  }
  return cutTo(`${percent.trimStart()}${gap}${label}`, columns);
}

/** The facts in columns of their own width, so that lines below each other align; an unknown one is empty. */
function factColumns(standing: RunStanding, say: Say): readonly [string, string, string] {
  const { step, steps, loss, itemsPerSecond, unit, timeLeftMs } = standing;
  const left = Number.isFinite(timeLeftMs) ? say(texts.left(printDuration(timeLeftMs))) : "";
  return [
    loss === undefined ? "" : padTo(`${say(texts.loss)} ${printLoss(loss)}`, widthOf(say(texts.loss)) + 7),
    itemsPerSecond > 0 ? say(texts.perSecond(printQuantity(itemsPerSecond), unit)) : "",
    // How long validation and test take is not known, and it may be longer than all steps.
    step < steps ? left : say(texts.measuring),
  ];
}

function facts(standing: RunStanding, say: Say): readonly string[] {
  return factColumns(standing, say)
    .map((fact) => fact.trimEnd())
    .filter((fact) => fact !== "");
}

function printLoss(loss: number): string {
  return Math.abs(loss) >= 0.001 && Math.abs(loss) < 1000 ? loss.toFixed(4).slice(0, 6) : printNumber(loss);
}
