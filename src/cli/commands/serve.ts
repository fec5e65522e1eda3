/** @file `qklab serve`: a trained model as an HTTP server. */
import { type Command, Option } from "commander";
import { texts as generateTexts } from "../dictionary/generate.ts";
import { texts } from "../dictionary/serve.ts";
import { durationMs, wholeNumber } from "../quantities.ts";
import { placeRanges } from "../ranges.ts";
import { type ServeFlags } from "../serve/options.ts";
import { type Session } from "../session.ts";
import { missingOption } from "../usage.ts";

/** Adds the command. */
export function addServe(program: Command, session: Session): Command {
  const { say } = session;
  const whole =
    (flag: string, minimum = 0) =>
    (text: string) =>
      wholeNumber(flag, text, minimum);
  const command = program
    .command("serve")
    .usage("--model MODEL [options]")
    .summary(say(texts.summary))
    .description(`${say(texts.summary)}\n\n${say(texts.details)}`)
    .option("--model <model>", say(generateTexts.model))
    .option("--name <name>", say(texts.name))
    .option("--adapter <folder>", say(generateTexts.adapter))
    .option("--attention <selector>", say(generateTexts.attention))
    .option("--layers <places>", say(generateTexts.layers), placeRanges("--layers"))
    .option("--heads <places>", say(generateTexts.heads), placeRanges("--heads"))
    .option("--host <address>", say(texts.host), "127.0.0.1")
    .option("--port <number>", say(texts.port), whole("--port"), 8080)
    .option("--token <text>", say(texts.token))
    .option("--cors <origin>", say(texts.cors), collect)
    .option("--max-concurrent <number>", say(texts.maxConcurrent), whole("--max-concurrent", 1), 4)
    .option("--max-queue <number>", say(texts.maxQueue), whole("--max-queue"), 16)
    .option("--max-body <bytes>", say(texts.maxBody), whole("--max-body", 1), 1_000_000)
    .option("--grace <time>", say(texts.grace), (text) => durationMs("--grace", text))
    .option("--seed <number>", say(texts.seed), whole("--seed"), 0)
    .addOption(
      new Option("--device <device>", say(generateTexts.device)).choices(["wasm", "jax"]).default("wasm"),
    )
    .option("--threads <number>", say(generateTexts.threads), whole("--threads", 1))
    .action(async (flags: Partial<ServeFlags>) => {
      const { model } = flags;
      if (model === undefined) throw missingOption(command, "--model MODEL");
      const { serveModel } = await import("../serve/serve.ts");
      await serveModel({ ...(flags as ServeFlags), model }, session, process.env);
    });
  return command;
}

/** For commander: an option given twice adds to its list. */
function collect(text: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), text];
}
