/** @file `inspect SELECTOR` of a recurrence: its update, the inputs it takes, its parameters and the size of its state. */
import { initialValues } from "../../attention/parameters.ts";
import { printPart, sizeOf } from "../../base/index.ts";
import { formatBytes } from "../../compare/format.ts";
import { rope } from "../../positions/index.ts";
import {
  printRecurrence,
  type RecurrenceComposition,
  recurrences,
  type RuleInput,
  type RuleSizes,
} from "../../recurrence/index.ts";
import { fileNameOf } from "../attend/file-names.ts";
import { texts } from "../dictionary/inspect.ts";
import { type Section } from "../printing.ts";
import { type Session } from "../session.ts";
import { type DescribedParameter, describeParameters, type InspectedSizes } from "./attention.ts";
import { parameterTable } from "./print-attention.ts";
import { columns, factTable } from "./tables.ts";

/** A recurrence as `inspect --json` prints it. */
export interface RecurrenceDescription extends InspectedSizes {
  readonly kind: "recurrence";
  readonly selector: string;
  readonly formula: string;
  readonly source: string;
  /** What turns queries and keys before the rule sees them, with its formula. */
  readonly position?: string;
  /** Whether every query sees all tokens. */
  readonly whole: boolean;
  /** Tokens of a chunk, where the selector names them. */
  readonly chunk?: number;
  readonly inputs: readonly Pick<RuleInput, "name" | "extents" | "domain" | "need">[];
  readonly parameters: readonly DescribedParameter[];
  readonly state: { readonly shape: readonly number[]; readonly sizeBytes: number };
}

/** Bytes of a float32. */
const bytesPerNumber = 4;

/** Takes a recurrence apart; values are taken to be as wide as keys. */
export function describeRecurrence(
  composition: RecurrenceComposition,
  sizes: InspectedSizes,
): RecurrenceDescription {
  const { rule, position, whole } = composition;
  const { width, heads } = sizes;
  const call: RuleSizes = {
    batch: 1,
    heads,
    keyHeads: heads,
    queries: 1,
    tokens: 1,
    width,
    valueWidth: width,
  };
  const definition = recurrences.find((make) => make.definition.selector === rule.name)?.definition;
  const shape = rule.stateShape(call);
  return {
    kind: "recurrence",
    selector: printRecurrence(composition),
    ...sizes,
    formula: definition?.formula ?? "",
    source: definition?.source ?? "",
    ...(position === undefined ? {} : { position: `${printPart(position)}: ${rope.definition.formula}` }),
    whole,
    ...(rule.chunk === undefined ? {} : { chunk: rule.chunk }),
    inputs: rule.inputs.map(({ name, extents, domain, need }) => ({ name, extents, domain, need })),
    parameters: describeParameters(rule.parameters, initialValues(rule.parameters, sizes), sizes),
    state: { shape, sizeBytes: bytesPerNumber * sizeOf(shape) },
  };
}

const domains: Readonly<Record<RuleInput["domain"], string>> = {
  real: "ℝ",
  "open unit": "(0, 1)",
  unit: "[0, 1]",
  "not positive": "≤ 0",
};

/** The update, its inputs, its parameters. */
export function recurrenceSections(description: RecurrenceDescription, { say }: Session): Section[] {
  const { selector, width, heads, formula, source, position, whole, chunk, inputs, parameters, state } =
    description;
  return [
    {
      title: texts.attention(selector, width, heads),
      table: factTable(
        {
          formula,
          paper: source,
          turned: position,
          order: say(whole ? texts.whole : texts.past),
          chunk: chunk === undefined ? undefined : String(chunk),
          memory: `[${state.shape.join(", ")}], ${formatBytes(state.sizeBytes)}`,
        },
        say,
      ),
    },
    {
      title: texts.inputs,
      table: {
        columns: columns("name", "shape", "domain", "needed"),
        rows: inputs.map(({ name, extents, domain, need }) => ({
          name: fileNameOf(name) === name ? name : say(texts.inFiles(name, fileNameOf(name))),
          shape: extents,
          domain: domains[domain],
          needed: say(
            need === "always"
              ? texts.always
              : need === "optional"
                ? texts.optional
                : texts.instead(need.instead),
          ),
        })),
      },
    },
    ...(parameters.length === 0 ? [] : [{ title: texts.parameters, table: parameterTable(parameters) }]),
  ];
}
