/**
 * @file What a member of the recurrent class is: a rule that names its inputs and turns them into those of the core,
 * with the way back for gradients. A rule without a core (rwkv4) brings its own forms.
 */
import { integerOption, type OptionRule } from "../base/options.ts";
import { type Parameter } from "../base/parameter.ts";
import { definePart, type Part, type PartFactory } from "../base/part.ts";
import { narrow, type Tensor, type Tensor64, zeros64 } from "../base/tensor.ts";
import {
  coreBackward,
  type CoreCotangents,
  coreForward,
  type CoreGradients,
  type CoreResult,
  type Form,
} from "./core-reference.ts";
import { type Core, type CoreInputs } from "./core.ts";
import { type FeatureMapName } from "./feature-map.ts";
import { type ChannelInputs } from "./rwkv4-channel.ts";
import { wholeBackward, wholeForward } from "./whole-form.ts";

/** The names of inputs, in the order of listings. */
export const inputNames = [
  "q",
  "k",
  "v",
  "decay",
  "logDecay",
  "beta",
  "a",
  "kappa",
  "ka",
  "u",
  "state",
] as const;

export type InputName = (typeof inputNames)[number];

/** The extents of a call. */
export interface RuleSizes {
  readonly batch: number;
  /** H */
  readonly heads: number;
  /** G, heads of keys. */
  readonly keyHeads: number;
  /** Q, tokens of q; N but where every token sees all. */
  readonly queries: number;
  /** N, tokens of k and v. */
  readonly tokens: number;
  /** D */
  readonly width: number;
  /** E */
  readonly valueWidth: number;
}

/** One input that a rule takes. */
export interface RuleInput {
  readonly name: InputName;
  /** The shape in the letters of the algebra, for listings: `[B, G, N, D]`. */
  readonly extents: string;
  readonly shape: (sizes: RuleSizes) => readonly number[];
  /** Any number; (0, 1) without its ends; [0, 1] with them; not above zero. */
  readonly domain: "real" | "open unit" | "unit" | "not positive";
  /** `instead`: exactly one of this and the named other one is given. */
  readonly need: "always" | "optional" | { readonly instead: InputName };
}

/** Inputs after their check: those that the rule always needs are there. */
export interface RuleInputs extends Readonly<Record<"q" | "k" | "v" | "beta" | "a" | "u", Tensor64>> {
  readonly decay?: Tensor64;
  readonly logDecay?: Tensor64;
  readonly kappa?: Tensor64;
  readonly ka?: Tensor64;
  readonly state?: Tensor64;
}

/** What a rule computes from; where places turn q and k, they are turned. */
export interface RuleCall {
  readonly inputs: RuleInputs;
  readonly parameters: Readonly<Record<string, Tensor64>>;
  readonly sizes: RuleSizes;
  /** Whether every query sees all tokens, in place of those up to its own. */
  readonly whole: boolean;
  /** The place of the first token, by which q and k are turned already where places turn them. */
  readonly offset: number;
}

/** Gradients by input and by parameter. */
export interface RuleGradients {
  readonly inputs: Partial<Record<InputName, Tensor64>>;
  readonly parameters: Readonly<Record<string, Tensor64>>;
}

/** A call as one of the core. */
export interface Lifted {
  readonly core: Core;
  readonly inputs: CoreInputs<Tensor64>;
  /** The state that callers see, from the core's last one; the same when absent. */
  readonly close?: (last: Tensor64) => Tensor64;
  /** The gradient of the core's last state, from the one of the state that callers see. */
  readonly open?: (dState: Tensor64) => Tensor64;
  /** Gradients by the rule's inputs; `ending` is there where the last state has a gradient. */
  readonly pullBack: (
    gradients: CoreGradients,
    ending: { readonly last: Tensor64; readonly dState: Tensor64 } | undefined,
  ) => RuleGradients;
}

/** A call as one of channels that each have a largest logarithm. */
export interface LiftedChannels {
  readonly inputs: ChannelInputs;
  /** Gradients by the rule's inputs, from those of the channels'. */
  readonly pullBack: (gradients: ChannelInputs) => RuleGradients;
}

/** What a lift does that maps queries and keys by φ, and leaves values and states as they are. */
export interface RuleFeatureMap {
  readonly name: FeatureMapName;
  readonly core: Core;
  /** The parameter [H, D, D] of a map that is learned. */
  readonly weight?: string;
}

/** A member of the recurrent class. */
export interface RecurrentRule extends Part {
  readonly kind: "recurrence";
  readonly inputs: readonly RuleInput[];
  readonly parameters: readonly Parameter[];
  /** Whether it is defined where every token sees all. */
  readonly hasWhole: boolean;
  /** Tokens of a chunk; when absent, each backend's own choice. */
  readonly chunk: number | undefined;
  /** Shape of the state that callers see. */
  readonly stateShape: (sizes: RuleSizes) => readonly number[];
  /** Whether the last column of the state is the logarithm of what its row is to be multiplied by. */
  readonly hasLogScales: boolean;
  /** The call in the core's terms; absent for a rule that the core cannot say. */
  readonly lift?: (call: RuleCall) => Lifted;
  /** Where `lift` is a map of queries and keys, which: kernels map them as they are told. */
  readonly featureMap?: RuleFeatureMap;
  /** The call as one of channels; absent for a rule that the core can say. */
  readonly liftChannels?: (call: RuleCall) => LiftedChannels;
  readonly forward: (call: RuleCall, form: Form) => CoreResult;
  readonly backward: (call: RuleCall, cotangents: CoreCotangents<Tensor64>) => RuleGradients;
}

/** What a rule of the core says of itself. */
export interface LiftedRule {
  readonly inputs: readonly RuleInput[];
  readonly parameters?: readonly Parameter[];
  readonly hasWhole?: boolean;
  readonly stateShape?: (sizes: RuleSizes) => readonly number[];
  readonly hasLogScales?: boolean;
  readonly lift: (call: RuleCall) => Lifted;
  readonly featureMap?: RuleFeatureMap;
}

/** What is known of a rule before it is made. */
export interface RuleDefinition {
  readonly selector: string;
  readonly formula: string;
  readonly source: string;
  readonly rules?: Readonly<Record<string, OptionRule>>;
}

/** The option that every rule has. */
export interface ChunkOption {
  /** Tokens of a chunk, which must divide N. */
  readonly chunk?: number;
}

/** Makes the factory of a rule that brings its own forms. */
export function defineRule<O extends ChunkOption>(
  definition: RuleDefinition,
  build: (options: Readonly<O>) => Omit<RecurrentRule, keyof Part | "chunk">,
): PartFactory<RecurrentRule, O> {
  return definePart<RecurrentRule, O>(
    {
      kind: "recurrence",
      ...definition,
      rules: { ...definition.rules, chunk: integerOption(1) },
    },
    (options) => ({ ...build(options), chunk: options.chunk }),
  );
}

/** Makes the factory of a rule of the core. */
export function defineLifted<O extends ChunkOption = ChunkOption>(
  definition: RuleDefinition,
  build: (options: Readonly<O>) => LiftedRule,
): PartFactory<RecurrentRule, O> {
  return defineRule<O>(definition, (options) => {
    const { lift, ...rest } = build(options);
    return {
      parameters: [],
      hasWhole: false,
      stateShape: plainState,
      hasLogScales: false,
      ...rest,
      lift,
      forward: (call, form) => {
        const lifted = lift(call);
        const { out, state } = call.whole
          ? wholeForward(lifted.core, lifted.inputs)
          : coreForward(lifted.core, lifted.inputs, form);
        return { out, state: lifted.close?.(state) ?? state };
      },
      backward: (call, { out, state: dState }) => backwardOf(lift(call), call.whole, out, dState),
    };
  });
}

function backwardOf(
  { core, inputs, open, pullBack }: Lifted,
  whole: boolean,
  out: Tensor64,
  dState: Tensor64 | undefined,
): RuleGradients {
  const cotangents = { out, ...(dState === undefined ? {} : { state: open?.(dState) ?? dState }) };
  const gradients = whole ? wholeBackward(core, inputs, cotangents) : coreBackward(core, inputs, cotangents);
  if (dState === undefined) return pullBack(gradients, undefined);
  const { state: last } = whole ? wholeForward(core, inputs) : coreForward(core, inputs);
  return pullBack(gradients, { last, dState });
}

/** M of D rows and E columns. */
const plainState = ({ batch, heads, width, valueWidth }: RuleSizes): readonly number[] => [
  batch,
  heads,
  width,
  valueWidth,
];

/**
 * A state rounded to float32. A logarithm of size 1e8 would be rounded by 8, and its row multiplied by e^8: where there
 * are such scales, rows are first changed to the nearest float32 scale, which is exact.
 */
export function narrowState({ hasLogScales }: RecurrentRule, state: Tensor64): Tensor {
  if (!hasLogScales) return narrow(state);
  const columns = state.shape[3];
  return narrow(
    mapped(state, (value, place) => {
      const scale = state.data[place - (place % columns) + columns - 1];
      return place % columns === columns - 1 ? value : value * Math.exp(scale - Math.fround(scale));
    }),
  );
}

/** A core of the given terms; the others are absent. */
export function coreOf(terms: Partial<Core>): Core {
  return { decay: "none", correction: false, read: "after", normalised: false, epsilon: 0, ...terms };
}

/** The gradient of a state that was given; nothing for one that was not. */
export function stateGradient(call: RuleCall, state: Tensor64): { readonly state?: Tensor64 } {
  return call.inputs.state === undefined ? {} : { state };
}

/** The state of a call as an input of the core. */
export function stateOf({ inputs: { state } }: RuleCall): { readonly state?: Tensor64 } {
  return state === undefined ? {} : { state };
}

/** A tensor of the same shape with each number changed. */
export function mapped(tensor: Tensor64, change: (value: number, place: number) => number): Tensor64 {
  const result = zeros64(tensor.shape);
  const [from, to] = [tensor.data, result.data];
  for (let place = 0; place < from.length; place++) to[place] = change(from[place], place);
  return result;
}
