/** @file The golden text of two tasks of a recurrence, reviewed like code; all of them run in the tests beside this one. */
import { expect, test } from "vitest";
import { cores } from "../../../recurrence/core-fixtures.ts";
import { printWat } from "../assembler/print-wat.ts";
import { parseRecurrence } from "../../../recurrence/index.ts";
import { describeRecurrenceKernel } from "./describe-recurrence.ts";
import { recurrenceModule } from "./recurrence-kernel.ts";

test("the scan and the step of a decay of channels with corrections are the golden text", async () => {
  const core = cores["channel correction after raw"];
  const module = recurrenceModule({ core, width: 16, valueWidth: 16, relaxed: true, shared: true });
  await expect(printWat(module, /^(scan|step|scaleUntil)$/)).toMatchFileSnapshot(
    "../../../../test/golden/recurrence-channel-correction.wat",
  );
});

test.each([
  ["gla", /^(decays|writeChunk|readChunk|weighBlockAfter|chunkGradients)$/],
  ["rwkv4", /./],
])("the kernel of %s is the golden text", async (selector, only) => {
  const { text } = describeRecurrenceKernel(parseRecurrence(selector), { width: 16, only });
  await expect(text).toMatchFileSnapshot(`../../../../test/golden/${selector}.wat`);
});

test("the name of a kernel is that of its code: the core's terms and the widths after a map", () => {
  const hashes = [
    ["linear:map=hedgehog", 8],
    ["linear:map=elu1", 16],
    ["linear:map=identity,normaliser=none", 16],
  ].map(([selector, width]) =>
    describeRecurrenceKernel(parseRecurrence(selector as string), { width: width as number, valueWidth: 8 }),
  );
  const [hedgehog, elu, plain] = hashes.map(({ hash }) => hash);
  expect(hedgehog).toBe(elu);
  expect(plain).not.toBe(elu);
});

test("code that a core does not need is not emitted", () => {
  const namesOf = (name: string): readonly string[] =>
    recurrenceModule({
      core: cores[name],
      width: 8,
      valueWidth: 8,
      relaxed: false,
      shared: false,
    }).functions.map((definition) => definition.name);
  const sum = namesOf("none sum after raw");
  expect(sum.filter((name) => /scale|solve|own|Before|decays/.test(name))).toEqual([]);
  expect(namesOf("channel correction after raw")).toEqual(
    expect.arrayContaining(["decays", "scaleUntil", "solveKeys", "weighBlockBefore", "ownGradients"]),
  );
  for (const name of Object.keys(cores)) expect(new Set(namesOf(name)).size).toBe(namesOf(name).length);
});
