/** @file The kernels of a rule of the recurrent class as text and bytes, for who wants to read what runs. */
import { UnsupportedError } from "../../../base/errors.ts";
import { zeros64, type Tensor64 } from "../../../base/tensor.ts";
import { describeModule, type KernelDescription } from "../assembler/describe-module.ts";
import { checkCall, type RecurrenceInputs } from "../../../recurrence/check-call.ts";
import { printRecurrence, type RecurrenceComposition, recurrences } from "../../../recurrence/index.ts";
import { type RuleCall, type RuleInput } from "../../../recurrence/rule.ts";
import { featureMapModule } from "./feature-map-kernel.ts";
import { featureMapHash, type FeatureMapSpec } from "./feature-map-spec.ts";
import { requireOnEngine } from "./lifted-recurrence.ts";
import { recurrenceHash, recurrenceModule } from "./recurrence-kernel.ts";
import { type ChannelSpec, type RecurrenceSpec } from "./spec.ts";

/** What the text depends on beside the rule. */
export interface RecurrenceEmitOptions {
  /** D, before the rule's map (default 64). */
  readonly width?: number;
  /** E (default D). */
  readonly valueWidth?: number;
  /** Multiply and add in one instruction (default true). */
  readonly relaxed?: boolean;
  /** The functions to print (default all). */
  readonly only?: RegExp;
}

/**
 * The kernel of a rule: one of a family whose code follows from the core's terms (decay, correction, bonus, division) and the
 * widths after the rule's feature map. The rule's own formula stands above its text.
 *
 * @throws UnsupportedError `recurrence-engine` for what the kernels do not compute, ShapeError for widths that it does not take
 * @example
 * ```ts
 * import { parseRecurrence } from "qklab";
 * import { describeRecurrenceKernel } from "qklab/wasm";
 * const { text } = describeRecurrenceKernel(parseRecurrence("gla"), { width: 16 });
 * text.includes("(func $scan"); // true
 * ```
 */
export function describeRecurrenceKernel(
  composition: RecurrenceComposition,
  options: RecurrenceEmitOptions = {},
): KernelDescription {
  const { rule } = composition;
  requireOnEngine(rule);
  const { width = 64, valueWidth = width, relaxed = true, only } = options;
  const call = callOfOneToken(composition, width, valueWidth);
  const spec = specOf(composition, call, relaxed);
  const module = recurrenceModule(spec);
  const definition = recurrences.find((make) => make.definition.selector === rule.name)?.definition;
  const formula = definition === undefined ? [] : [`${printRecurrence(composition)}: ${definition.formula}`];
  const map = mapSpecOf(composition, width, relaxed);
  const features =
    map === undefined
      ? []
      : [`φ(q) and φ(k) are made by kernel ${featureMapHash(map)}, feature map ${map.map}`];
  const header = [...module.header, ...formula, ...features];
  return describeModule({ ...module, header }, recurrenceHash(spec), only);
}

/**
 * The kernel of a rule's feature map, which runs on queries and keys before that of the rule.
 *
 * @throws UnsupportedError `feature-map-kernel` for rules that have none
 * @example
 * ```ts
 * import { parseRecurrence } from "qklab";
 * import { describeFeatureMapKernel } from "qklab/wasm";
 * const { text } = describeFeatureMapKernel(parseRecurrence("linear:map=hedgehog"), { width: 16 });
 * text.includes("(func $softmaxHalves"); // true
 * ```
 */
export function describeFeatureMapKernel(
  composition: RecurrenceComposition,
  { width = 64, relaxed = true, only }: Omit<RecurrenceEmitOptions, "valueWidth"> = {},
): KernelDescription {
  const spec = mapSpecOf(composition, width, relaxed);
  if (spec !== undefined) return describeModule(featureMapModule(spec), featureMapHash(spec), only);
  throw new UnsupportedError(
    "feature-map-kernel",
    `Cannot describe the feature map of '${printRecurrence(composition)}' as its queries and keys are mapped by no kernel: ` +
      "those of linear are, with the maps elu1, relu, taylor2 and hedgehog. Describe the kernel of the recurrence itself",
  );
}

function mapSpecOf(
  { rule: { featureMap } }: RecurrenceComposition,
  width: number,
  relaxed: boolean,
): FeatureMapSpec | undefined {
  if (featureMap === undefined || featureMap.name === "identity") return undefined;
  return { map: featureMap.name, width, relaxed, shared: true };
}

function specOf(
  { rule }: RecurrenceComposition,
  call: RuleCall,
  relaxed: boolean,
): RecurrenceSpec | ChannelSpec {
  const flags = { relaxed, shared: true };
  if (rule.liftChannels !== undefined) return { core: "channels", width: call.sizes.width, ...flags };
  const { core, inputs } = rule.lift!(call);
  return { core, width: inputs.q.shape[3], valueWidth: inputs.v.shape[3], ...flags };
}

/** A call of one token, from which the rule tells its terms and the width of its map. */
function callOfOneToken(composition: RecurrenceComposition, width: number, valueWidth: number): RuleCall {
  const { rule } = composition;
  const sizes = { batch: 1, heads: 1, keyHeads: 1, queries: 1, tokens: 1, width, valueWidth };
  const given = rule.inputs
    .filter(({ need }) => need !== "optional")
    .filter(({ name }) => name !== "logDecay")
    .map((input): [string, Tensor64] => {
      // What was asked for, so that a rule whose values are as wide as its keys says so.
      const shape = input.name === "v" ? [1, 1, 1, valueWidth] : input.shape(sizes);
      return [input.name, filled(input, shape)];
    });
  return checkCall(
    { ...composition, rule: { ...rule, chunk: undefined } },
    Object.fromEntries(given) as unknown as RecurrenceInputs,
  );
}

function filled({ domain }: RuleInput, shape: readonly number[]): Tensor64 {
  const tensor = zeros64(shape);
  tensor.data.fill(domain === "real" ? 0 : 0.5);
  return tensor;
}
