/** @file How fast a layer of a trained model learns to do with another attention what it did with its own. */
import { perSecond, rateGoal, rounded, roundedPair } from "../attention/goal.ts";
import { type DistillationProblem } from "../protocol.ts";
import { interleaved } from "../rounds.ts";
import { type LanguagePart } from "./parts.ts";
import { distillationText } from "./problems.ts";

/** Two seconds for a step of 2,048 tokens. */
const goalPerSecond = 1024;

const name = "own-distillation";

/** A step of the last layer, which the teacher's longest pass comes before. */
export const distilling: LanguagePart = async ({ context, heats, found }) => {
  const { roster, findings, rounds, isSmall, titleOf, progress } = context;
  const contestant = await roster.find(name);
  if ("reason" in contestant) throw new Error(`our own contestant does not run: ${contestant.reason}`);
  const [batch, length] = isSmall ? [1, 16] : [4, 512];
  const problem: DistillationProblem = {
    kind: "distillation",
    selector: "linear:map=hedgehog",
    layer: heats.weights.sizes.num_hidden_layers - 1,
    batch,
    length,
    // As many as a step reads, twice, beside those that are held back.
    tokens: Array.from(
      { length: 4 * batch * length },
      (_, place) => heats.tokens[place % heats.tokens.length],
    ),
  };
  const of = distillationText(problem);
  progress(`${titleOf(name)}: ${of}`);
  const { facts } = await contestant.prepare({ slot: 0, problem, inputs: "", outputs: "" });
  if (facts["lossOfTeacher"] !== 0) {
    throw new Error(
      `Cannot time a distillation as a student that is its teacher must have no loss: ${facts["lossOfTeacher"]}. ` +
        "Run the tests of src/distil",
    );
  }
  const times = await interleaved([{ name, timeMs: async () => (await contestant.run(0)).timeMs }], {
    rounds,
    warmUp: !isSmall,
    failed: (_, error) => {
      throw error;
    },
  });
  await contestant.release(0);
  const rate = perSecond(batch * length, times.get(name)!);
  found.rates.push({
    contestant: titleOf(name),
    case: of,
    tokens_per_s: rounded(rate.median),
    quartiles_per_s: roundedPair(rate.quartiles),
  });
  const title = { against: `${goalPerSecond} tokens/s`, case: of, goal: 1 };
  findings.goals.push(rateGoal(title, rate, goalPerSecond, !isSmall));
};
