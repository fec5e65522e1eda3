/** @file `qklab generate`: text from a trained model, with its own attention or with another. */
import { type Command, Option } from "commander";
import { texts as common } from "../dictionary/common.ts";
import { texts } from "../dictionary/generate.ts";
import { type GenerateFlags } from "../generate/options.ts";
import { collectTexts } from "../lists.ts";
import { placeRanges } from "../ranges.ts";
import { realNumber, wholeNumber } from "../quantities.ts";
import { type Session } from "../session.ts";
import { missingOption } from "../usage.ts";

/** Adds the command. */
export function addGenerate(program: Command, session: Session): Command {
  const { say } = session;
  const whole =
    (flag: string, minimum = 0) =>
    (text: string) =>
      wholeNumber(flag, text, minimum);
  const real = (flag: string) => (text: string) => realNumber(flag, text);
  const command = program
    .command("generate")
    .usage("--model MODEL --prompt TEXT [options]")
    .summary(say(texts.summary))
    .description(`${say(texts.summary)}\n\n${say(texts.details)}`)
    .option("--model <model>", say(texts.model))
    .option("--prompt <text>", say(texts.prompt))
    .option("--chat", say(texts.chat))
    .option("--no-chat", say(texts.noChat))
    .option("--system <text>", say(texts.system))
    .option("--max-tokens <number>", say(texts.maxTokens), whole("--max-tokens"), 256)
    .option("--temperature <number>", say(texts.temperature), real("--temperature"), 0.7)
    .option("--top-k <number>", say(texts.topK), whole("--top-k"))
    .option("--top-p <number>", say(texts.topP), real("--top-p"))
    .option("--min-p <number>", say(texts.minP), real("--min-p"))
    .option("--repetition-penalty <number>", say(texts.repetitionPenalty), real("--repetition-penalty"))
    .option("--seed <number>", say(texts.seed), whole("--seed"), 0)
    .option("--stop <ending>", say(texts.stop), collectTexts)
    .option("--attention <selector>", say(texts.attention))
    .option("--adapter <folder>", say(texts.adapter))
    .option("--layers <places>", say(texts.layers), placeRanges("--layers"))
    .option("--heads <places>", say(texts.heads), placeRanges("--heads"))
    .addOption(new Option("--device <device>", say(texts.device)).choices(["wasm", "jax"]).default("wasm"))
    .option("--threads <number>", say(texts.threads), whole("--threads", 1))
    .option("--json", say(common.json))
    .action(async (flags: Partial<GenerateFlags>) => {
      const { model, prompt } = flags;
      if (model === undefined) throw missingOption(command, "--model MODEL");
      if (prompt === undefined) throw missingOption(command, "--prompt TEXT");
      const { generateText } = await import("../generate/generate.ts");
      await generateText({ ...(flags as GenerateFlags), model, prompt }, session);
    });
  return command;
}
