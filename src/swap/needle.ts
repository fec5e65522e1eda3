/**
 * @file Needle retrieval by depth: a made-up fact is put into filler text at some depth, and at the end the model is asked for it. Right
 * is the answer when it is likelier than all wrong ones; this works for models that never learned to answer questions in a chat.
 */
import { DomainError } from "../base/errors.ts";
import { type Language } from "../compare/bilingual.ts";
import { random } from "../base/random.ts";
import { type Decoder, type ModelArrays } from "../models/index.ts";
import { type Tokenizer } from "../text/index.ts";

/** What is asked. */
export interface NeedleTest {
  /** N */
  readonly length: number;
  readonly trials: readonly NeedleTrial[];
}

/** One fact in one text. */
export interface NeedleTrial {
  /** 0: at the beginning; 1: right before the question. */
  readonly depth: number;
  /** [N]; behind `place` it is only filled up. */
  readonly tokens: Int32Array;
  /** After which token the answers differ. */
  readonly place: number;
  /** The tokens that tell the answers apart, the right one first. */
  readonly answers: readonly number[];
}

/** How well a model finds it. */
export interface NeedleScore {
  readonly depth: number;
  readonly trials: number;
  /** Share of trials in which the right answer is the likeliest. */
  readonly accuracy: number;
  /** Mean of ln p(right) − ln p(likeliest wrong), in nats. */
  readonly margin: number;
}

/** How the fact and the question are put, and what it may be. */
const wordings = {
  en: {
    fact: (name: string, answer: string) => ` The secret toy of ${name} is the ${answer}. `,
    question: (name: string, answer: string) => ` The secret toy of ${name} is the ${answer}`,
    names: ["Lily", "Tom", "Ben", "Mia"],
    answers: ["ball", "car", "doll", "bear", "train", "kite", "drum", "boat"],
  },
  zh: {
    fact: (name: string, answer: string) => `${name}的秘密颜色是${answer}色。`,
    question: (name: string, answer: string) => `${name}的秘密颜色是${answer}`,
    names: ["小明", "小红", "老王", "阿华"],
    answers: ["红", "蓝", "绿", "黄", "黑", "白", "紫", "灰"],
  },
} as const;

const answersAsked = 4;

/**
 * Makes the test from a text as filler.
 *
 * @param filler - any text; it is repeated where it is short
 * @param options - `length`: N, all texts together with the question; `depths`: from 0 to 1; `trials`: facts at each depth
 * @throws DomainError `swap-needle` where N has no room for a fact and its question
 */
export function needleTest(
  tokenizer: Tokenizer,
  filler: string,
  {
    length,
    language,
    depths = [0, 0.25, 0.5, 0.75, 1],
    trials = 4,
    seed = 0,
  }: {
    readonly length: number;
    readonly language: Language;
    readonly depths?: readonly number[];
    readonly trials?: number;
    readonly seed?: number;
  },
): NeedleTest {
  const { fact, question, names, answers } = wordings[language];
  const encode = (text: string): number[] => tokenizer.encode(text, { addSpecial: false });
  const hay = encode(filler);
  if (hay.length === 0) refuse("the filler has no token");
  const { begin } = tokenizer.specialTokens;
  const made = depths.flatMap((depth) =>
    Array.from({ length: trials }, (_, trial): NeedleTrial => {
      // Drawn by trial alone: every depth is asked the same.
      const draw = random(seed, "needle", trial);
      const order = shuffled(answers, () => draw.uniform());
      const name = names[Math.floor(draw.uniform() * names.length)];
      const needle = encode(fact(name, order[0]));
      const { endings, shared } = toldApart(order.map((answer) => encode(question(name, answer))));
      const room = length - (begin === undefined ? 0 : 1) - needle.length - shared;
      if (room < 0) refuse(`a length of ${length} tokens is ${-room} too short`);
      const at = Math.round(depth * room);
      const start = Math.floor(draw.uniform() * hay.length);
      const hays = Array.from({ length: room }, (__, index) => hay[(start + index) % hay.length]);
      const text = [
        ...(begin === undefined ? [] : [begin]),
        ...hays.slice(0, at),
        ...needle,
        ...hays.slice(at),
        ...endings[0].slice(0, shared),
      ];
      return {
        depth,
        tokens: Int32Array.from(text),
        place: text.length - 1,
        answers: endings.map((ending) => ending[shared]),
      };
    }),
  );
  return { length, trials: made };
}

/** Asks a model. */
export async function findNeedles(
  { model, arrays }: { readonly model: Decoder; readonly arrays: ModelArrays },
  { length, trials }: NeedleTest,
  batch = 8,
): Promise<readonly NeedleScore[]> {
  const margins: { readonly depth: number; readonly margin: number }[] = [];
  for (let first = 0; first < trials.length; first += batch) {
    const asked = trials.slice(first, first + batch);
    const { losses } = await model.evaluate(arrays, {
      tokens: Int32Array.from(asked.flatMap(({ tokens }) => [...tokens])),
      batch: asked.length,
      targets: Int32Array.from(asked.flatMap(({ answers }) => answers)),
      positions: Int32Array.from(
        asked.flatMap(({ answers, place }, row) => answers.map(() => row * length + place)),
      ),
    });
    let at = 0;
    for (const { depth, answers } of asked) {
      const [right, ...wrong] = losses.subarray(at, at + answers.length);
      at += answers.length;
      margins.push({ depth, margin: Math.min(...wrong) - right });
    }
  }
  return [...new Set(trials.map(({ depth }) => depth))].map((depth) => {
    const own = margins.filter((trial) => trial.depth === depth).map(({ margin }) => margin);
    return {
      depth,
      trials: own.length,
      accuracy: own.filter((margin) => margin > 0).length / own.length,
      margin: own.reduce((sum, margin) => sum + margin, 0) / own.length,
    };
  });
}

/** The first ending and others, which differ from it and from each other in the token after what all of them share. */
function toldApart(all: readonly (readonly number[])[]): {
  readonly endings: readonly (readonly number[])[];
  readonly shared: number;
} {
  const shared = sharedLength(all);
  const byToken = new Map<number | undefined, readonly number[]>();
  for (const ending of all) if (!byToken.has(ending[shared])) byToken.set(ending[shared], ending);
  byToken.delete(undefined);
  const endings = [...byToken.values()].slice(0, answersAsked);
  if (endings.length < answersAsked || endings[0] !== all[0])
    refuse("its vocabulary begins too many answers alike");
  return { endings, shared };
}

/** How many tokens all endings begin with. */
function sharedLength(endings: readonly (readonly number[])[]): number {
  const [first] = endings;
  let length = 0;
  while (length < first.length && endings.every((ending) => ending[length] === first[length])) length += 1;
  return length;
}

function shuffled<Item>(items: readonly Item[], draw: () => number): Item[] {
  const left = [...items];
  return items.map(() => left.splice(Math.floor(draw() * left.length), 1)[0]);
}

function refuse(seen: string): never {
  throw new DomainError(
    "swap-needle",
    `Cannot hide a fact as its text must have room for it and for a question whose answers differ in one token: ${seen}. ` +
      "Take longer texts, or leave needles out",
  );
}
