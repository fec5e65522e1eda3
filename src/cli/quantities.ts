/** @file Numbers as people write them: suffixes `4k`, `1.5M`, durations `90s`, `10m`, `1h30m`; and short forms of measured ones. */
import { CommandError } from "./command-error.ts";
import { texts } from "./dictionary/values.ts";

const suffixes: Readonly<Record<string, number>> = { "": 1, k: 1e3, K: 1e3, M: 1e6, G: 1e9 };
const durationUnitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 6e4, h: 36e5 };

/** The number that a text means, `undefined` where it is none. k, M and G are powers of a thousand. */
export function readNumber(text: string): number | undefined {
  const [, digits = "", suffix = ""] =
    /^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)([kKMG]?)$/i.exec(text.trim()) ?? [];
  const factor = suffixes[suffix];
  if (digits === "" || factor === undefined) return undefined;
  const value = Number(digits) * factor;
  return Number.isFinite(value) ? value : undefined;
}

/** A whole number of at least `minimum`. */
export function wholeNumber(option: string, text: string, minimum: number): number {
  const value = readNumber(text);
  if (value !== undefined && Number.isSafeInteger(value) && value >= minimum) return value;
  throw new CommandError("bad-value", texts.whole(option, minimum, text));
}

/** A number; above zero where `positive`. */
export function realNumber(option: string, text: string, domain: "positive" | "real" = "real"): number {
  const value = readNumber(text);
  if (value !== undefined && (domain === "real" || value > 0)) return value;
  throw new CommandError(
    "bad-value",
    domain === "real" ? texts.number(option, text) : texts.positive(option, text),
  );
}

/** A time such as `90s`, `10m`, `1h` or `1h30m`, in milliseconds. A bare number is refused, as its unit is unknown. */
export function durationMs(option: string, text: string): number {
  const parts = [...text.trim().matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  const isWhole = parts.map(([part]) => part).join("") === text.trim();
  const total = parts.reduce(
    (sum, [, count, unit]) => sum + Number(count) * (durationUnitsMs[unit ?? ""] ?? 0),
    0,
  );
  if (isWhole && total > 0 && Number.isFinite(total)) return total;
  throw new CommandError("bad-value", texts.duration(option, text));
}

/** A time in two units at most, for lines that are short of room: `12s`, `3m05s`, `1h20m`. */
export function printDuration(timeMs: number): string {
  const seconds = Math.round(timeMs / 1000);
  if (seconds < 60) return `${seconds}s`;
  const two = (value: number): string => String(value).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)}h${two(minutes % 60)}m`;
}

/** A rate or a count in three digits: `987`, `12.3k`, `4.56M`. */
export function printQuantity(value: number): string {
  for (const [suffix, factor] of [
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
  ] as const) {
    if (Math.abs(value) >= factor) return `${Number((value / factor).toPrecision(3))}${suffix}`;
  }
  return String(Number(value.toPrecision(3)));
}

/** A measured number for a table: four significant digits, non-finite ones by name. */
export function printNumber(value: number): string {
  if (!Number.isFinite(value) || Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(4)));
}
