/** @file All benchmarks; a new one is one line here. */
import { attention } from "./attention/index.ts";
import { type Benchmark } from "./benchmark.ts";
import { language } from "./language/index.ts";
import { recurrence } from "./recurrence/index.ts";
import { sparse } from "./sparse/index.ts";

/** By name. */
export const benchmarks: ReadonlyMap<string, Benchmark<never>> = new Map(
  [attention, language, recurrence, sparse].map((benchmark) => [
    benchmark.name,
    benchmark as unknown as Benchmark<never>,
  ]),
);
