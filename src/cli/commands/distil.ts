/** @file `qklab distil`: teach a swapped attention of a trained model, into an adapter. */
import { type Command, Option } from "commander";
import { texts as shared } from "../dictionary/config.ts";
import { texts } from "../dictionary/distil.ts";
import { type DistilFlags } from "../distil/distil-run.ts";
import { addFormat, type FormatOptions } from "../printing.ts";
import { durationMs, realNumber, wholeNumber } from "../quantities.ts";
import { type Session } from "../session.ts";
import { tableFormats } from "../table.ts";

/** Adds the command. */
export function addDistil(program: Command, session: Session): Command {
  const { say } = session;
  const whole = (option: string, minimum: number) => (text: string) => wholeNumber(option, text, minimum);
  const positive = (option: string) => (text: string) => realNumber(option, text, "positive");
  const command = program
    .command("distil")
    .summary(say(texts.summary))
    .description(`${say(texts.summary)}\n\n${say(texts.details)}`)
    .option("--model <model>", say(texts.model))
    .option("--attention <selector>", say(texts.attention))
    .option("--layers <layers>", say(texts.layers))
    .option("--heads <heads>", say(texts.heads))
    .addOption(new Option("--calibrate <how>", say(texts.calibrate)).choices(["spread", "none"]))
    .option("--data <file>", say(texts.data))
    .option("--steps <number>", say(texts.steps), whole("--steps", 0))
    .option("--tune-steps <number>", say(texts.tuneSteps), whole("--tune-steps", 0))
    .addOption(new Option("--loss <what>", say(texts.loss)).choices(["outputs", "weights"]))
    .option("--rank <number>", say(texts.rank), whole("--rank", 0))
    .option("--alpha <number>", say(texts.alpha), positive("--alpha"))
    .option("--batch <number>", say(texts.batch), whole("--batch", 1))
    .option("--length <number>", say(texts.length), whole("--length", 2))
    .option("--lr <number>", say(texts.rate), positive("--lr"))
    .option("--tune-lr <number>", say(texts.tuneRate), positive("--tune-lr"))
    .option("--seed <number>", say(texts.seed), whole("--seed", 0))
    .option("--out <folder>", say(texts.out))
    .option("--resume <folder>", say(texts.resume))
    .option("--max-time <time>", say(shared.maxTime), (time) => durationMs("--max-time", time))
    .option("--threads <number>", say(texts.threads), whole("--threads", 1))
    .action(async (flags: DistilFlags & FormatOptions) => {
      const { distil } = await import("../distil/distil.ts");
      await distil(flags, session);
    });
  return addFormat(command, session, tableFormats);
}
