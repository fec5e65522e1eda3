/** @file One `generate`: opens a model, streams what it says after a prompt, and tells how fast it was. */
import {
  type Finish,
  generate,
  type GenerateOptions,
  type NextToken,
  sampler,
} from "../../generation/index.ts";
import { requirePrompt } from "../../generation/generate.ts";
import { random } from "../../base/random.ts";
import type { TextSession } from "../../language/index.ts";
import type { LanguageModel } from "../../language/open-model.node.ts";
import { texts } from "../dictionary/generate.ts";
import { dropAbsent } from "../drop-absent.ts";
import { exitCodes } from "../exit-codes.ts";
import { listenForInterruption } from "../interruption.ts";
import { printJson } from "../printing.ts";
import { type Session } from "../session.ts";
import { version } from "../version.ts";
import { loadTexts, openModel } from "./load.ts";
import { type GenerateFlags } from "./options.ts";
import { encodePrompt, type ReadPrompt, readPromptText } from "./prompt.ts";

/** Generates what the flags ask for: text to stdout as it comes, or one document with `--json`. */
export async function generateText(flags: GenerateFlags, session: Session): Promise<void> {
  const { temperature, topK, topP, minP, repetitionPenalty, seed } = flags;
  const sampling = { temperature, ...dropAbsent({ topK, topP, minP, repetitionPenalty }) };
  // Refuses options outside their domain before a model is read.
  sampler(sampling, random(seed, "generate"));
  const promptText = await readPromptText(flags);
  const interruption = listenForInterruption(() => session.tell(texts.stopping));
  const { stop: signal } = interruption;
  let model: LanguageModel | undefined;
  try {
    model = await openModel(flags, session, signal);
    const prompt = encodePrompt(model, promptText, flags);
    const { maximumLength } = model.layout.config;
    requirePrompt({ maximumLength, length: 0 }, model.tokenizer, prompt.tokens);
    const loaded = await loadTexts(model, flags, session);
    const text = loaded.begin(signal);
    try {
      const options: GenerateOptions = {
        ...sampling,
        seed,
        maximumNewTokens: flags.maxTokens,
        stopTokens: model.endTokens,
        stopStrings: flags.stop ?? [],
        signal,
      };
      const result = await run(text, model, prompt, options, flags.json === true ? undefined : session);
      await report(result, prompt, flags, session);
    } finally {
      text.dispose();
      loaded.dispose();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    session.exitCode = exitCodes.interrupted;
  } finally {
    interruption.close();
    await model?.close();
  }
}

/** What was said, and how long the model took for it. */
interface Result {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly logProbabilities: readonly number[];
  /** Absent where it was interrupted. */
  readonly finish: Finish | undefined;
  readonly promptMs: number;
  readonly tokensMs: number;
  /** Tokens that were taken one by one, in `tokensMs`. */
  readonly steps: number;
}

/** @param session - where the text is streamed to; nowhere when undefined */
async function run(
  text: TextSession,
  model: LanguageModel,
  prompt: ReadPrompt,
  options: GenerateOptions,
  session: Session | undefined,
): Promise<Result> {
  const clock = timed(text);
  const said = { text: "", tokens: [] as number[], logProbabilities: [] as number[] };
  let finish: Finish | undefined;
  try {
    for await (const piece of generate(clock.model, model.tokenizer, prompt.tokens, options)) {
      const isFirst = prompt.beginsText && said.tokens.length === 0;
      const shown = isFirst ? piece.text.replace(/^ /, "") : piece.text;
      said.text += shown;
      said.tokens.push(...piece.tokens);
      said.logProbabilities.push(...piece.logProbabilities);
      ({ finish } = piece);
      if (shown !== "") await session?.print(shown);
    }
  } catch (error) {
    if (options.signal?.aborted !== true) throw error;
  }
  // A shell's next prompt begins on a line of its own.
  await session?.print("\n");
  return { ...said, finish, ...clock.times };
}

interface Times {
  promptMs: number;
  tokensMs: number;
  steps: number;
}

/** The model with the time that it takes. */
function timed(text: TextSession): { readonly model: NextToken; readonly times: Times } {
  const times: Times = { promptMs: 0, tokensMs: 0, steps: 0 };
  const model: NextToken = {
    maximumLength: text.maximumLength,
    get length() {
      return text.length;
    },
    async prefill(tokens) {
      const startMs = performance.now();
      const logits = await text.prefill(tokens);
      times.promptMs += performance.now() - startMs;
      return logits;
    },
    async step(token) {
      const startMs = performance.now();
      const logits = await text.step(token);
      times.tokensMs += performance.now() - startMs;
      times.steps += 1;
      return logits;
    },
  };
  return { model, times };
}

async function report(
  { finish, promptMs, tokensMs, steps, ...said }: Result,
  prompt: ReadPrompt,
  flags: GenerateFlags,
  session: Session,
): Promise<void> {
  const rate = steps === 0 ? undefined : (1000 * steps) / tokensMs;
  const promptRate = promptMs === 0 ? undefined : (1000 * prompt.tokens.length) / promptMs;
  if (flags.json === true) {
    const { model, attention, layers, heads, device, seed } = flags;
    await printJson(session, {
      model,
      ...dropAbsent({ attention, layers, heads }),
      device,
      seed,
      version,
      prompt: { text: prompt.text, chat: prompt.isChat, tokens: prompt.tokens },
      ...said,
      finish: finish ?? { reason: "interrupted" },
      ...dropAbsent({ tokensPerSecond: rate, promptTokensPerSecond: promptRate }),
    });
  }
  const reason = finish?.reason ?? "interrupted";
  session.tell(
    texts.ended(reason, finish?.newTokens ?? said.tokens.length, rate, prompt.tokens.length, promptRate),
  );
  if (finish === undefined) session.exitCode = exitCodes.interrupted;
  session.next(...nextCommand(flags, [prompt.text, said.text]));
}

/** With its own attention, the same with another; with another or an adapter, what that changes, measured on a text. */
function nextCommand(
  { model, prompt, attention, adapter, layers, heads }: GenerateFlags,
  texts: readonly string[],
): readonly string[] {
  if (attention === undefined && adapter === undefined) {
    return ["generate", "--model", model, "--prompt", prompt, "--attention", "cosine", "--layers", "0"];
  }
  const cut = texts.map((text) => Array.from(text.trim().replaceAll(/\s+/g, " ")).slice(0, longestEval));
  const text = cut.find(({ length }) => length >= shortestEval)?.join("");
  if (text === undefined) return attention === undefined ? ["swap", "--help"] : ["inspect", attention];
  const variant = Object.entries({ attention, adapter, layers: layers?.join(), heads: heads?.join() });
  const words = variant.flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]));
  return ["swap", "--model", model, ...words, "--eval", text];
}

/** Characters of a text that a next command may name: enough to predict some, and not more than a line or two. */
const [shortestEval, longestEval] = [12, 160];
