/** @file An attention's description for people: tables and formulas under titles. */
import { texts } from "../dictionary/inspect.ts";
import { texts as listTexts } from "../dictionary/list.ts";
import { listedPartKinds } from "../list/parts.ts";
import { type Section } from "../printing.ts";
import { printNumber } from "../quantities.ts";
import { type Session } from "../session.ts";
import { type AttentionDescription, type DescribedParameter } from "./attention.ts";
import { columns, factTable } from "./tables.ts";

/** Sections in the order of reading: what it is, its numbers, how it behaves, what else fits. */
export function attentionSections(
  description: AttentionDescription,
  { withDerivatives }: { readonly withDerivatives: boolean },
  { say }: Session,
): Section[] {
  const { selector, width, heads, parts, parameters, derivatives, properties, fits, spread } = description;
  const kindTitles = Object.fromEntries(
    Object.entries(listedPartKinds).map(([plural, kind]) => [
      kind,
      say(listTexts.kinds[plural as keyof typeof listedPartKinds]),
    ]),
  );
  const yesNo = (is: boolean): string => say(is ? texts.yes : texts.no);
  const calibrated = Object.entries(spread.calibrated).map(
    ([name, value]) => `${name} = ${printNumber(value)}`,
  );
  return [
    {
      title: texts.attention(selector, width, heads),
      table: {
        columns: columns("kind", "selector", "formula", "source"),
        rows: parts.map(({ kind, ...part }) => ({ kind: kindTitles[kind] ?? kind, ...part })),
      },
    },
    ...(parameters.length === 0 ? [] : [{ title: texts.parameters, table: parameterTable(parameters) }]),
    { title: texts.score, code: scoreText(description) },
    ...(withDerivatives
      ? [{ title: texts.javascript(derivatives.by.join(", ")), code: derivatives.javascript }]
      : []),
    {
      title: texts.properties,
      table: factTable(
        {
          space: description.space,
          invariance: properties.invariance,
          bilinear: yesNo(properties.bilinear),
          shiftInvariant: yesNo(properties.shiftInvariant),
          rowTerm: description.rowTerm,
          causal: yesNo(properties.causal),
          spread: printNumber(spread.rowSpread),
          calibrated: calibrated.join(", "),
        },
        say,
      ),
    },
    {
      title: texts.fits,
      table: {
        columns: columns("kind", "name", "fits", "reason"),
        rows: (["positions", "aggregations"] as const).flatMap((kind) =>
          fits[kind].map(({ name, fits, reason = "" }) => ({
            kind: say(listTexts.kinds[kind]),
            name,
            fits: yesNo(fits),
            reason,
          })),
        ),
      },
    },
  ];
}

/** Parameters with the range of their values before training. */
export function parameterTable(parameters: readonly DescribedParameter[]): NonNullable<Section["table"]> {
  return {
    columns: columns("name", "mode", "domain", "shape", "value"),
    rows: parameters.map(({ name, mode, domain, maximum, shape, smallest, largest }) => ({
      name,
      mode,
      domain: `${domain === "positive" ? "> 0" : "ℝ"}${maximum === undefined ? "" : `, ≤ ${maximum}`}`,
      shape: `[${shape.join(", ")}]`,
      value:
        smallest === largest ? printNumber(smallest) : `${printNumber(smallest)} … ${printNumber(largest)}`,
    })),
  };
}

/** The score, and what its variables stand for. */
function scoreText({ score, terms }: AttentionDescription): string {
  const block = (start: number, stop: number): string =>
    terms.length === 1 ? "" : `, d in [${start}, ${stop})`;
  return [
    `s_ij = ${score}`,
    ...terms.map(
      ({ reduction, start, stop, names: { inner, queryNorm, keyNorm } }) =>
        `  ${inner} = ${reduction}, ${queryNorm} = ‖q‖², ${keyNorm} = ‖k‖²${block(start, stop)}`,
    ),
  ].join("\n");
}
