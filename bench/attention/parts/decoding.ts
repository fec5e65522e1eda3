/** @file Decoding against the memory: bytes of the key/value cache over the time of one token, and of a copy over its own. */
import { type Part } from "../context.ts";
import { timeGoal } from "../goal.ts";
import { runHeat, textOf } from "../heat.ts";
import { type DecodingProblem } from "../../protocol.ts";
import { type Times } from "../../rounds.ts";

export const decoding: Part = {
  name: "decoding",
  hasPeers: false,
  async run(context) {
    const problem: DecodingProblem = {
      kind: "decoding",
      heads: 4,
      length: context.isSmall ? 128 : 8192,
      width: 64,
    };
    const { times, facts } = await runHeat(context, [
      { key: "decoding", contestant: "own", problem },
      { key: "copy", contestant: "own", problem: { kind: "copy" } },
    ]);
    const copy = times.get("copy")!;
    const share = facts.get("decoding")!["bytes"] / facts.get("copy")!["bytes"];
    const atLimit: Times = {
      medianMs: share * copy.medianMs,
      quartilesMs: [share * copy.quartilesMs[0], share * copy.quartilesMs[1]],
    };
    const title = { against: "our own f32 copy limit", case: textOf(problem), goal: 0.6 };
    context.findings.goals.push(timeGoal(title, times.get("decoding")!, atLimit, !context.isSmall));
  },
};
