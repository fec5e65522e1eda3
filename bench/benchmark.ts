/** @file What a benchmark is: a name, a run that gives one document, and that document for readers. */
import { type BenchOptions } from "./options.ts";
import { type Places } from "./roster.ts";

/** A benchmark. */
export interface Benchmark<Report = unknown> {
  /** `npm run bench -- <name>` */
  readonly name: string;
  /**
   * @param progress - tells the person who waits what is being done
   * @returns what `--json` prints
   */
  readonly run: (options: BenchOptions, places: Places, progress: (text: string) => void) => Promise<Report>;
  /** The report as a table. */
  readonly text: (report: Report) => string;
  /**
   * Writes the report into the repository, and the document of it and of earlier ones.
   *
   * @param report - without it, the document is made of earlier ones alone
   * @returns the files that were written
   */
  readonly write: (report: Report | undefined, root: string) => Promise<readonly string[]>;
}
