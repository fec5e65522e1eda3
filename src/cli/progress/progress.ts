/**
 * @file The progress of runs on stderr: on a terminal one line for each running run, redrawn in place below what is
 * logged; elsewhere one plain line every few seconds for each run.
 */
import { dim, type Session } from "../session.ts";
import { cutTo, widthOf } from "../wrap.ts";
import { liveLine, plainLine, type RunStanding } from "./progress-line.ts";

/** Where runs report how they stand. */
export interface Progress {
  /** A run under way; its line is drawn or printed when it is time to. */
  update(id: string, standing: RunStanding): void;
  /** The run is no longer under way. */
  remove(id: string): void;
  /** A line about all runs, below theirs; live only. */
  total(text: string): void;
  /** A line that stays. */
  log(text: string): void;
  /** Clears the live lines; the last call. */
  close(): void;
}

const plainIntervalMs = 5000;
const liveIntervalMs = 100;

/** The progress that fits where stderr goes. */
export function openProgress(session: Session): Progress {
  if (session.verbosity === "quiet") return silent;
  return session.terminal.isLive ? openLive(session) : openPlain(session);
}

const silent: Progress = {
  update: () => undefined,
  remove: () => undefined,
  total: () => undefined,
  log: () => undefined,
  close: () => undefined,
};

function openPlain({ say }: Session): Progress {
  const printedMs = new Map<string, number>();
  return {
    ...silent,
    update(id, standing) {
      const nowMs = performance.now();
      const lastMs = printedMs.get(id);
      if (lastMs === undefined) printedMs.set(id, nowMs);
      else if (nowMs - lastMs >= plainIntervalMs) {
        printedMs.set(id, nowMs);
        process.stderr.write(`${plainLine(standing, say)}\n`);
      }
    },
    remove: (id) => {
      printedMs.delete(id);
    },
    log: (text) => {
      process.stderr.write(`${text}\n`);
    },
  };
}

const escape = "\u001b[";

/** What to draw where nothing is known of the terminal's size. */
const commonSize = { columns: 80, rows: 24 };

function openLive({ say, terminal }: Session): Progress {
  const standings = new Map<string, RunStanding>();
  let totalText = "";
  let drawn: readonly string[] = [];
  let drawnMs = -Infinity;
  let timer: NodeJS.Timeout | undefined;
  const paint = (code: number) => (text: string) =>
    terminal.hasColour ? `${escape}${code}m${text}${escape}39m` : text;
  const style = { done: paint(32), open: paint(90) };

  const size = (): typeof commonSize => ({
    columns: process.stderr.columns || commonSize.columns,
    rows: process.stderr.rows || commonSize.rows,
  });

  /** A line that was drawn before the window became narrower takes several rows now. */
  const erase = (): string => {
    const { columns } = size();
    const rows = drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / columns)), 0);
    return rows === 0 ? "" : `${escape}${rows}A\r${escape}J`;
  };

  const lines = (): string[] => {
    const { columns, rows } = size();
    const room = Math.max(1, rows - 3);
    const shown = [...standings.values()].slice(0, room);
    const labelColumns = Math.max(0, ...shown.map(({ label }) => widthOf(label)));
    // The last column stays free: some terminals wrap as soon as it is written.
    const drawing = shown.map((standing) =>
      liveLine(standing, { say, columns: columns - 1, labelColumns, style }),
    );
    return totalText === "" ? drawing : [...drawing, dim(terminal, cutTo(totalText, columns - 1))];
  };

  const draw = (above = ""): void => {
    clearTimeout(timer);
    timer = undefined;
    const before = erase();
    drawn = lines();
    drawnMs = performance.now();
    process.stderr.write(before + above + drawn.map((line) => `${line}\n`).join(""));
  };

  /** Drawn now when the last drawing is old enough, else a little later, where a busy process may come to it. */
  const schedule = (): void => {
    if (performance.now() - drawnMs >= liveIntervalMs) draw();
    else timer ??= setTimeout(() => draw(), liveIntervalMs).unref();
  };

  return {
    update(id, standing) {
      standings.set(id, standing);
      schedule();
    },
    remove(id) {
      if (standings.delete(id)) schedule();
    },
    total(text) {
      totalText = text;
      schedule();
    },
    log: (text) => draw(`${text}\n`),
    close() {
      standings.clear();
      totalText = "";
      draw();
    },
  };
}
