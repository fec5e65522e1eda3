/** @file The benchmark of the fused attentions: its parts in order, and what they find. */
import { type Benchmark } from "../benchmark.ts";
import { runParts } from "../run-parts.ts";
import { type Part } from "./context.ts";
import { curves } from "./parts/curves.ts";
import { decoding } from "./parts/decoding.ts";
import { growth } from "./parts/growth.ts";
import { limit } from "./parts/limit.ts";
import { memory } from "./parts/memory.ts";
import { moe } from "./parts/moe.ts";
import { patterns } from "./parts/patterns.ts";
import { jax, onnxruntime, ruvector, tfjs, torch } from "./parts/peers.ts";
import { training } from "./parts/training.ts";
import { type AttentionReport } from "./report.ts";
import { reportText } from "./report-text.ts";
import { writeDocument } from "../document/write.ts";

/** In this order they are run and reported. A new row is a part here, or a row of `peers.ts`. */
const parts: readonly Part[] = [
  limit,
  onnxruntime,
  jax,
  ruvector,
  tfjs,
  torch,
  patterns,
  decoding,
  training,
  moe,
  growth,
  memory,
  curves,
];

/** `npm run bench -- attention` */
export const attention: Benchmark<AttentionReport> = {
  name: "attention",
  run: (options, places, progress) => runParts("attention", parts, { options, places, progress }),
  text: reportText,
  write: writeDocument,
};
