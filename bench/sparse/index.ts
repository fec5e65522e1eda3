/** @file The benchmark of attentions that compare only with a chosen few, against our own dense attention. */
import { type Part } from "../attention/context.ts";
import { type PartsReport } from "../attention/report.ts";
import { reportText } from "../attention/report-text.ts";
import { type Benchmark } from "../benchmark.ts";
import { UsageError } from "../options.ts";
import { runParts } from "../run-parts.ts";
import { selections } from "./parts/selections.ts";

/** In this order they are run and reported. A new row is a part here. */
const parts: readonly Part[] = [selections];

/** `npm run bench -- sparse` */
export const sparse: Benchmark<PartsReport<"sparse">> = {
  name: "sparse",
  run: (options, places, progress) => runParts("sparse", parts, { options, places, progress }),
  text: reportText,
  write() {
    throw new UsageError(
      "Cannot write a document of this benchmark as there is none: --write. Leave it out, and read the table",
    );
  },
};
