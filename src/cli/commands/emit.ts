/** @file `qklab emit`: the code of an attention, to be read. */
import { type Command, Option } from "commander";
import { texts } from "../dictionary/emit.ts";
import type { EmitOptions } from "../emit/emit.ts";
import { wholeNumber } from "../quantities.ts";
import { type Session } from "../session.ts";
import { missingOption } from "../usage.ts";

/** Adds the command. */
export function addEmit(program: Command, session: Session): Command {
  const { say } = session;
  const command = program
    .command("emit")
    .usage("--spec SELECTOR [options]")
    .summary(say(texts.summary))
    .description(`${say(texts.summary)}\n\n${say(texts.details)}`)
    .option("--spec <selector>", say(texts.spec))
    // Other devices than the choices are read too, to be told why they have no code.
    .addOption(
      new Option("--device <device>", say(texts.device))
        .choices(["wasm"])
        .argParser((text) => text)
        .default("wasm"),
    )
    .option("--width <number>", say(texts.width), (text) => wholeNumber("--width", text, 1), 64)
    .option("--value-width <number>", say(texts.valueWidth), (text) => wholeNumber("--value-width", text, 1))
    .option("--only <pattern>", say(texts.only))
    .option("--plain-simd", say(texts.plainSimd))
    .option("--bias", say(texts.bias))
    .option("--mask", say(texts.mask))
    .option("--feature-map", say(texts.featureMap))
    .addOption(new Option("--format <form>", say(texts.format)).choices(["wat", "wasm"]).default("wat"))
    .option("--out <file>", say(texts.out))
    .option("--json", say(texts.json))
    .action(async ({ spec, ...options }: Omit<EmitOptions, "spec"> & { readonly spec?: string }) => {
      if (spec === undefined) throw missingOption(command, "--spec SELECTOR");
      const { emit } = await import("../emit/emit.ts");
      await emit({ ...options, spec }, session);
    });
  return command;
}
