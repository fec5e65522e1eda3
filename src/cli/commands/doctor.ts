/** @file `qklab doctor`: what this machine has, and whether every device computes what the reference computes. */
import { type Command } from "commander";
import { texts } from "../dictionary/doctor.ts";
import { type Check } from "../doctor/check.ts";
import { exitCodes } from "../exit-codes.ts";
import { addFormat, formatOf, type FormatOptions, printJson, printSections } from "../printing.ts";
import { type Session } from "../session.ts";
import { tableFormats } from "../table.ts";
import { version } from "../version.ts";

/** Adds the command. */
export function addDoctor(program: Command, session: Session): Command {
  const { say } = session;
  const command = program
    .command("doctor")
    .summary(say(texts.summary))
    .description(say(texts.summary))
    .action((options: FormatOptions) => doctor(options, session));
  return addFormat(command, session, tableFormats);
}

async function doctor(options: FormatOptions, session: Session): Promise<void> {
  const { say } = session;
  const { checkMachine } = await import("../doctor/machine.ts");
  const { checkDevices } = await import("../doctor/devices.ts");
  const checks = [...(await checkMachine()), ...(await checkDevices())];
  const lacking = checks.filter(({ state, isNeeded }) => isNeeded && state !== "ok");
  const format = formatOf(options);
  if (format === "json") {
    await printJson(session, {
      version,
      platform: `${process.platform}-${process.arch}`,
      ok: lacking.length === 0,
      checks: checks.map(({ name, state, isNeeded, value, cure }) => ({
        name,
        state,
        isNeeded,
        value: say(value),
        ...(cure === undefined ? {} : { cure: say(cure) }),
      })),
    });
  } else {
    const keys = ["name", "state", "value", "cure"] as const;
    const rows = checks.map(({ name, state, value, cure }) => ({
      name: say(texts.names[name]),
      state: say(texts.states[state]),
      value: say(value),
      cure: cure === undefined ? "" : say(cure),
    }));
    await printSections(
      session,
      [{ table: { columns: keys.map((key) => ({ key, title: texts.columns[key] })), rows } }],
      format,
    );
  }
  session.exitCode = exitCodeFor(lacking);
  if (lacking.length === 0) {
    session.tell(texts.healthy);
    session.next("compare", "--preset", "smoke");
  } else {
    session.tell(texts.lacking(lacking.map(({ name }) => say(texts.names[name])).join(", ")));
    session.next("doctor", "--json");
  }
}

/** A device that computes something else is worse than one that is absent. */
function exitCodeFor(lacking: readonly Check[]): number {
  const isWrong = lacking.some(
    ({ name, state }) => state === "failed" && (name === "reference" || name.endsWith("Attention")),
  );
  if (isWrong) return exitCodes.numbers;
  return lacking.length === 0 ? exitCodes.done : exitCodes.noBackend;
}
