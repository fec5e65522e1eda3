/** @file Numbers as people read them: as many decimals as a column needs, means with their spread, bytes and times. */
import { type Spread } from "./spread.ts";

/**
 * The decimals with which a column of numbers is printed: about four significant digits of its largest.
 *
 * @param values - the numbers of the column; those that are not finite do not count
 */
export function decimalsFor(values: readonly number[]): number {
  const largest = Math.max(0, ...values.filter(Number.isFinite).map(Math.abs));
  if (largest >= 1000) return 0;
  if (largest >= 100) return 1;
  return largest >= 10 ? 2 : 3;
}

/** A number with fixed decimals, and in exponent form where those would show nothing of it. */
export function formatNumber(value: number, decimals: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value !== 0 && Math.abs(value) < 0.5 * 10 ** -decimals) return value.toExponential(1);
  return value.toFixed(decimals);
}

/** `0.981 ± 0.004`, or the number alone when its spread is not known. */
export function formatSpread({ mean, deviation }: Spread, decimals: number): string {
  const number = formatNumber(mean, decimals);
  return deviation === null ? number : `${number} ± ${deviation.toFixed(decimals)}`;
}

const byteUnits = ["B", "kB", "MB", "GB", "TB"];

/** Bytes in decimal units: `51.2 kB`. */
export function formatBytes(sizeBytes: number): string {
  const unit = sizeBytes < 1 ? 0 : Math.min(byteUnits.length - 1, Math.floor(Math.log10(sizeBytes) / 3));
  const value = sizeBytes / 1000 ** unit;
  return `${unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${byteUnits[unit]}`;
}

/** A duration: `0.42 ms`, `12.3 ms`, `1.4 s`, `3 min 20 s`, `1 h 05 min`. */
export function formatDuration(timeMs: number): string {
  if (timeMs < 1) return `${timeMs.toFixed(2)} ms`;
  if (timeMs < 1000) return `${timeMs < 100 ? timeMs.toFixed(1) : timeMs.toFixed(0)} ms`;
  const seconds = Math.round(timeMs / 1000);
  if (seconds < 60) return `${(timeMs / 1000).toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  const two = (value: number): string => String(value).padStart(2, "0");
  return minutes < 60
    ? `${minutes} min ${two(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}
