/** @file `qklab swap`: what changes at once when the attention of a trained model is replaced. */
import { type Command, Option } from "commander";
import { CommandError } from "../command-error.ts";
import { texts } from "../dictionary/swap.ts";
import { collectTexts, selectorList } from "../lists.ts";
import { addFormat } from "../printing.ts";
import { durationMs, wholeNumber } from "../quantities.ts";
import { placeRanges } from "../ranges.ts";
import { type Session } from "../session.ts";
import { type SwapFlags } from "../swap/options.ts";
import { tableFormats } from "../table.ts";
import { missingOption } from "../usage.ts";

/** What does not decide the numbers. */
const inResumes: ReadonlySet<string> = new Set(["resume", "maxTime", "threads", "json", "format"]);

/** Adds the command. */
export function addSwap(program: Command, session: Session): Command {
  const { say } = session;
  const whole = (flag: string, minimum: number) => (text: string) => wholeNumber(flag, text, minimum);
  const command = program
    .command("swap")
    .usage("--model MODEL --attention SELECTORS --eval TEXT [options]")
    .summary(say(texts.summary))
    .description(`${say(texts.summary)}\n\n${say(texts.details)}`)
    .option("--model <model>", say(texts.model))
    .option("--attention <selectors>", say(texts.attention), selectorList("--attention"))
    .option("--adapter <folder>", say(texts.adapter), collectTexts)
    .option("--layers <places>", say(texts.layers), placeRanges("--layers"))
    .option("--heads <places>", say(texts.heads), placeRanges("--heads"))
    .option("--each-layer", say(texts.eachLayer))
    .option("--eval <text>", say(texts.eval))
    .addOption(
      new Option("--calibrate <how>", say(texts.calibrate)).choices(["spread", "none"]).default("spread"),
    )
    .option("--context <number>", say(texts.context), whole("--context", 2), 256)
    .option("--tokens <number>", say(texts.tokens), whole("--tokens", 2), 1024)
    .option("--prompt <text>", say(texts.prompt))
    .option("--new-tokens <number>", say(texts.newTokens), whole("--new-tokens", 1), 48)
    .option("--needles <number>", say(texts.needles), whole("--needles", 0), 128)
    .option("--seed <number>", say(texts.seed), whole("--seed", 0), 0)
    .option("--out <folder>", say(texts.out), "runs")
    .option("--resume <folder>", say(texts.resume))
    .option("--max-time <time>", say(texts.maxTime), (time) => durationMs("--max-time", time))
    .option("--threads <number>", say(texts.threads), whole("--threads", 1))
    .action(async (flags: SwapFlags) => {
      if (flags.resume === undefined) {
        if (flags.model === undefined) throw missingOption(command, "--model MODEL");
        if ((flags.attention ?? flags.adapter) === undefined) {
          throw missingOption(command, "--attention SELECTORS");
        }
        if (flags.eval === undefined) throw missingOption(command, "--eval TEXT");
      } else {
        // The folder says all that decides the numbers: an option that would be ignored is refused.
        const given = command.options.find(
          (option) =>
            !inResumes.has(option.attributeName()) &&
            command.getOptionValueSource(option.attributeName()) === "cli",
        );
        if (given !== undefined) throw new CommandError("resume-alone", texts.alone(given.long ?? ""));
      }
      const { swap } = await import("../swap/swap.ts");
      await swap(flags, session);
    });
  return addFormat(command, session, tableFormats);
}
