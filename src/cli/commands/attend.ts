/** @file `qklab attend`: one attention on a file's tensors, so that anybody can check us against another framework. */
import { type Command, Option } from "commander";
import { type AttendOptions } from "../attend/options.ts";
import { texts } from "../dictionary/attend.ts";
import { texts as common } from "../dictionary/common.ts";
import { choiceList, wholeList } from "../lists.ts";
import { realNumber, wholeNumber } from "../quantities.ts";
import { type Session } from "../session.ts";
import { missingOption } from "../usage.ts";

/** Adds the command. */
export function addAttend(program: Command, session: Session): Command {
  const { say } = session;
  const command = program
    .command("attend")
    .usage("--spec SELECTOR --in FILE --out FILE [options]")
    .summary(say(texts.summary))
    .description(`${say(texts.summary)}\n\n${say(texts.details)}`)
    .option("--spec <selector>", say(texts.spec))
    .option("--in <file>", say(texts.in))
    .option("--out <file>", say(texts.out))
    .option("--backward", say(texts.backward))
    .addOption(
      new Option("--device <device>", say(texts.device))
        .choices(["reference", "jax", "wasm"])
        .default("reference"),
    )
    .option("--return <names>", say(texts.return), choiceList("--return", ["scores", "weights"]))
    .option("--offset <number>", say(texts.offset), (text) =>
      wholeNumber("--offset", text, -Number.MAX_SAFE_INTEGER),
    )
    .option("--key-lengths <numbers>", say(texts.keyLengths), wholeList("--key-lengths", 0))
    .option("--scale <number>", say(texts.scale), (text) => realNumber("--scale", text))
    .option("--seed <number>", say(texts.seed), (text) => wholeNumber("--seed", text, 0), 0)
    .option("--json", say(common.json))
    .action(async (options: GivenOptions) => {
      const named = requireNamed(options, command);
      const { attend } = await import("../attend/attend.ts");
      await attend(named, session);
    });
  return command;
}

type Named = "spec" | "in" | "out";
type GivenOptions = Omit<AttendOptions, Named> & Partial<Pick<AttendOptions, Named>>;

/** What cannot be left out; commander would ask for it before it tells of a misspelt flag. */
function requireNamed(options: GivenOptions, command: Command): AttendOptions {
  const { spec, in: input, out } = options;
  if (spec !== undefined && input !== undefined && out !== undefined)
    return { ...options, spec, in: input, out };
  const missing = spec === undefined ? "--spec SELECTOR" : input === undefined ? "--in FILE" : "--out FILE";
  throw missingOption(command, missing);
}
