/**
 * @file The memory of one long sequence, forward and backward, in a process of its own: the memory of WebAssembly, and how
 * much the process as a whole grew over what it held before the call (compiled kernels and its inputs).
 */
import { join } from "node:path";
import { startContestant } from "../../contestant.ts";
import { commandOf } from "../../roster.ts";
import { type Context, type Part } from "../context.ts";
import { errorOfLastRows, errorTolerance, smallForm } from "../correctness.ts";
import { memoryGoal } from "../goal.ts";
import { readResults, textOf } from "../heat.ts";
import { attentionProblem, writeInputs } from "../problems.ts";

const limitBytes = 200e6;

export const memory: Part = {
  name: "memory",
  hasPeers: false,
  async run(context) {
    for (const selector of ["dot+causal", "dot+causal+window:w=256"]) await measure(context, selector);
  },
};

async function measure(context: Context, selector: string): Promise<void> {
  const { folder, isSmall, findings, progress, threads, places } = context;
  const problem = attentionProblem(selector, {
    heads: 1,
    length: isSmall ? 1024 : 65_536,
    width: 64,
    direction: "both",
  });
  progress(`memory: ${textOf(problem)}`);
  const [inputs, outputs] = [join(folder, "inputs"), join(folder, "outputs")];
  const contestant = await startContestant(commandOf("own", places, threads));
  try {
    // The kernels and what runs them are there before; what is asked is what the length costs.
    const short = smallForm(problem);
    writeInputs(inputs, short);
    await contestant.prepare({ slot: 0, problem: short, inputs, outputs });
    writeInputs(inputs, problem);
    const { facts, outputs: names } = await contestant.prepare({ slot: 1, problem, inputs, outputs });
    const error = errorOfLastRows(problem, readResults(outputs, names, problem));
    if (!(error <= errorTolerance)) throw new Error(`${textOf(problem)} is ${error} off the reference`);
    for (const [what, bytes] of [
      ["the memory of WebAssembly", facts["arenaBytes"]],
      ["growth of the process", facts["residentGrowthBytes"]],
    ] as const) {
      const title = { against: `200 MB, ${what}`, case: textOf(problem), goal: 1 };
      findings.goals.push(memoryGoal(title, bytes, limitBytes, !isSmall));
    }
  } finally {
    await contestant.close();
  }
}
