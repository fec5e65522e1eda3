/** @file What is measured of a language model: its logits, its start, how fast it reads a prompt, and how fast it writes. */
import { type Context } from "../attention/context.ts";
import { perSecond, type PerSecond, rateGoal, rounded, roundedPair } from "../attention/goal.ts";
import { startContestant } from "../contestant.ts";
import { type LanguageProblem } from "../protocol.ts";
import { commandOf, type ContestantName } from "../roster.ts";
import { type Times, timesOf } from "../rounds.ts";
import { agreement, bitsPerToken } from "./correctness.ts";
import {
  isRight,
  type LanguageEntry,
  type LanguageHeats,
  readOneByOne,
  resultsOf,
  runLanguageHeat,
} from "./heat.ts";
import { languageText } from "./problems.ts";
import { type Rate, type Start } from "./report.ts";

/** Where findings go that only a language model has. */
export interface LanguageFindings {
  readonly rates: Rate[];
  readonly starts: Start[];
}

/** One part, which is run for contestants of ours, and of others where they are wanted. */
export type LanguagePart = (given: {
  readonly context: Context;
  readonly heats: LanguageHeats;
  readonly found: LanguageFindings;
  readonly withPeers: boolean;
}) => Promise<void>;

const own: readonly ContestantName[] = ["own-language", "own-language-one"];
const peers: readonly ContestantName[] = ["onnxruntime-language", "onnxruntime-language-one"];

const [ours, peer] = ["own-language", "onnxruntime-language"] as const;

/** How much is read and written. */
interface Sizes {
  /** Lengths of prompts. */
  readonly prompts: readonly number[];
  /** Tokens before those that are written. */
  readonly contexts: readonly number[];
  readonly written: number;
  /** Tokens whose logits are compared. */
  readonly judged: number;
  /** Processes that are started, and the tokens of their first prompt. */
  readonly starts: number;
  readonly startTokens: number;
}

const sizes: Sizes = {
  prompts: [64, 512, 1024],
  contexts: [16, 512],
  written: 32,
  judged: 96,
  starts: 3,
  startTokens: 64,
};
const smallSizes: Sizes = {
  prompts: [8],
  contexts: [4],
  written: 2,
  judged: 4,
  starts: 1,
  startTokens: 8,
};

/** Sizes, which take seconds where they are small. */
export const sizesOf = ({ isSmall }: Pick<Context, "isSmall">): Sizes => (isSmall ? smallSizes : sizes);

/** Tokens that the longest problem needs. */
export const mostTokens: number = 1024;

/** The goals: tokens a second that everybody can read along with, and a share of what native code reaches. */
const goals = { prefill: 500, decode: 60, decodeShare: 0.5 };

/** What a text costs in bits by each: the graph rounds to 8 bits what it multiplies, and all tokens of a call by one scale. */
export const logits: LanguagePart = async ({ context, heats, withPeers }) => {
  const { findings, titleOf, roster, progress } = context;
  const tokens = heats.tokens.slice(0, sizesOf(context).judged);
  const oneByOne = readOneByOne(tokens);
  const atOnce: LanguageProblem = { ...oneByOne, pass: "at once" };
  const resultOf = async (
    contestant: ContestantName,
    problem: LanguageProblem,
  ): Promise<Float32Array | undefined> => {
    const isAbsent = "reason" in (await roster.find(contestant));
    if (isAbsent || !(await isRight(context, heats, contestant))) return undefined;
    progress(`${titleOf(contestant)}: ${languageText(problem)}, for its logits`);
    const { logits: found } = await resultsOf(context, heats, { contestant, problem });
    const name = `${titleOf(contestant)}${contestant === ours ? "" : `, ${problem.pass}`}`;
    findings.facts[`bits per token of ${tokens.length}, ${name}`] = rounded(bitsPerToken(tokens, found));
    return found;
  };
  const right = (await resultOf(ours, oneByOne))!;
  if (!withPeers) return;
  for (const problem of [oneByOne, atOnce]) {
    const theirs = await resultOf(peer, problem);
    if (theirs === undefined) continue;
    const share = agreement(tokens.length, right, theirs);
    findings.facts[
      `share of tokens after which ${titleOf(peer)}, ${problem.pass}, finds the same one likeliest`
    ] = rounded(share);
  }
};

/** Until the first logits, in processes that were just started, ours and theirs in turn. */
export const start: LanguagePart = async ({ context, heats, found, withPeers }) => {
  const { titleOf, places, threads, progress, roster } = context;
  const { starts: processes, startTokens } = sizesOf(context);
  const problem: LanguageProblem = {
    ...readOneByOne(heats.tokens.slice(0, startTokens)),
    pass: "at once",
  };
  const names = [ours, ...(withPeers && !("reason" in (await roster.find(peer))) ? [peer] : [])] as const;
  const lists = new Map(
    names.map((name) => [name, { load: [] as number[], first: [] as number[], second: [] as number[] }]),
  );
  for (let process = 0; process < processes; process++) {
    for (const name of names) {
      progress(`${titleOf(name)}: start ${process + 1} of ${processes}`);
      const contestant = await startContestant(commandOf(name, places, threads));
      const { facts } = await contestant.prepare({ slot: 0, problem, inputs: "", outputs: "" });
      const { timeMs } = await contestant.run(0);
      await contestant.close();
      const { load, first, second } = lists.get(name)!;
      load.push(facts["loadMs"]);
      first.push(facts["firstMs"]);
      second.push(timeMs);
    }
  }
  for (const [name, { load, first, second }] of lists) {
    const [loads, firsts, seconds] = [load, first, second].map(timesOf);
    found.starts.push({
      contestant: titleOf(name),
      processes,
      load_ms: rounded(loads.medianMs),
      load_quartiles_ms: roundedPair(loads.quartilesMs),
      first_ms: rounded(firsts.medianMs),
      first_quartiles_ms: roundedPair(firsts.quartilesMs),
      second_ms: rounded(seconds.medianMs),
      second_quartiles_ms: roundedPair(seconds.quartilesMs),
    });
  }
};

/** Prompts at once; theirs one by one as well, which gives the logits that the graph has while it writes. */
export const prefill: LanguagePart = async ({ context, heats, found, withPeers }) => {
  const { prompts } = sizesOf(context);
  for (const count of prompts) {
    const oneByOne = readOneByOne(heats.tokens.slice(0, count));
    const atOnce: LanguageProblem = { ...oneByOne, pass: "at once" };
    const entries: LanguageEntry[] = [...own, ...(withPeers ? peers : [])].map((contestant) => ({
      contestant,
      problem: atOnce,
    }));
    if (count === prompts[0] && withPeers) {
      entries.push(...peers.map((contestant) => ({ contestant, problem: oneByOne })));
    }
    const times = await runLanguageHeat(context, heats, entries);
    noteRates(context, found, times);
    const rate = rateOf(times, ours, atOnce)!;
    const title = { against: `${goals.prefill} tokens/s`, case: languageText(atOnce), goal: 1 };
    context.findings.goals.push(rateGoal(title, rate, goals.prefill, !context.isSmall));
  }
};

/** Tokens one by one over a context. */
export const decoding: LanguagePart = async ({ context, heats, found, withPeers }) => {
  const { contexts, written } = sizesOf(context);
  for (const length of contexts) {
    const problem: LanguageProblem = {
      ...readOneByOne(heats.tokens.slice(length, length + written)),
      context: heats.tokens.slice(0, length),
    };
    const times = await runLanguageHeat(
      context,
      heats,
      [...own, ...(withPeers ? peers : [])].map((contestant) => ({ contestant, problem })),
    );
    noteRates(context, found, times);
    const rate = rateOf(times, ours, problem)!;
    const title = { case: languageText(problem) };
    const counts = !context.isSmall;
    if (length === contexts.at(-1)) {
      const against = `${goals.decode} tokens/s`;
      context.findings.goals.push(rateGoal({ ...title, against, goal: 1 }, rate, goals.decode, counts));
    }
    // In the form that is fastest for them: on few cores their threads may stand in each other's way.
    const theirs = peers
      .flatMap((name) => {
        const found = rateOf(times, name, problem);
        return found === undefined ? [] : [{ against: context.titleOf(name), found }];
      })
      .sort((a, b) => b.found.median - a.found.median)
      .at(0);
    if (theirs === undefined) continue;
    const { against, found: fastest } = theirs;
    context.findings.goals.push(
      rateGoal({ ...title, against, goal: goals.decodeShare }, rate, fastest, counts),
    );
  }
};

type HeatTimes = ReadonlyMap<LanguageEntry, Times>;

function rateOf(times: HeatTimes, name: ContestantName, wanted: LanguageProblem): PerSecond | undefined {
  const found = [...times].find(
    ([{ contestant, problem }]) => contestant === name && problem.pass === wanted.pass,
  );
  return found === undefined ? undefined : perSecond(wanted.tokens.length, found[1]);
}

function noteRates({ titleOf }: Context, { rates }: LanguageFindings, times: HeatTimes): void {
  for (const [{ contestant, problem }, own] of times) {
    const { median, quartiles } = perSecond(problem.tokens.length, own);
    rates.push({
      contestant: titleOf(contestant),
      case: languageText(problem),
      tokens_per_s: rounded(median),
      quartiles_per_s: roundedPair(quartiles),
    });
  }
}
