/**
 * @file Experts against one feed-forward of the size that a token meets, and many experts against few: parameters grow, the
 * time of a token does not.
 */
import { type Part } from "../context.ts";
import { type GoalTitle, rounded, timeGoal } from "../goal.ts";
import { type HeatEntry, runHeat, textOf } from "../heat.ts";
import { type FeedForwardProblem } from "../../protocol.ts";
import { type Times } from "../../rounds.ts";

const counts = [4, 8, 16, 64] as const;
const choices = 2;
/** At most 1.3 times the time of the dense one, with four times its parameters. */
const denseGoal = rounded(1 / 1.3);
/** Flat within a fifth. */
const flatGoal = rounded(1 / 1.2);

export const moe: Part = {
  name: "moe",
  hasPeers: false,
  async run(context) {
    const sizes = context.isSmall
      ? { tokens: 64, width: 16, hidden: 16 }
      : { tokens: 8192, width: 256, hidden: 256 };
    for (const direction of ["forward", "both"] as const) {
      const dense: FeedForwardProblem = {
        kind: "feed-forward",
        ...sizes,
        hidden: choices * sizes.hidden,
        direction,
      };
      const mixtures = counts.map((count): FeedForwardProblem => ({
        kind: "feed-forward",
        ...sizes,
        experts: { count, choices },
        direction,
      }));
      const entries = [dense, ...mixtures].map((problem): HeatEntry => ({
        key: textOf(problem),
        contestant: "own",
        problem,
      }));
      const { times, facts } = await runHeat(context, entries);
      const caseOf = (count: (typeof counts)[number]): string => textOf(mixtures[counts.indexOf(count)]);
      const timesOf = (count: (typeof counts)[number]): Times => times.get(caseOf(count))!;
      const against = (title: string, count: (typeof counts)[number], goal: number): GoalTitle => ({
        against: title,
        case: caseOf(count),
        goal,
      });
      const counted = !context.isSmall;
      const [denseTimes, few] = [times.get(textOf(dense))!, timesOf(4)];
      context.findings.goals.push(
        timeGoal(
          against("one feed-forward of the active size", 8, denseGoal),
          timesOf(8),
          denseTimes,
          counted,
        ),
        timeGoal(against("4 experts", 16, flatGoal), timesOf(16), few, counted),
        timeGoal(against("4 experts", 64, flatGoal), timesOf(64), few, counted),
      );
      const parametersOf = (problem: FeedForwardProblem): number => facts.get(textOf(problem))!["parameters"];
      context.findings.facts["moe_parameters_over_dense"] = parametersOf(mixtures[1]) / parametersOf(dense);
    }
  },
};
