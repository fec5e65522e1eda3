/** @file The verdicts on the known expectations, as lines for a terminal. */
import { type Bilingual, type Language } from "./bilingual.ts";
import { type VerdictStatus } from "./expectation.ts";
import { verdictsOf } from "./expectations.ts";
import { type ComparisonResults } from "./results.ts";

/** The statuses in words, with the sign that stands before them. */
export const statusText: Readonly<
  Record<VerdictStatus, { readonly sign: string; readonly text: Bilingual }>
> = {
  holds: { sign: "✓", text: { en: "holds", zh: "成立" } },
  "does not hold": { sign: "✗", text: { en: "does not hold", zh: "不成立" } },
  undecided: { sign: "?", text: { en: "undecided", zh: "无法判定" } },
  "not measured": { sign: "–", text: { en: "not measured", zh: "未测量" } },
};

const colours: Readonly<Record<VerdictStatus, number>> = {
  holds: 32,
  "does not hold": 31,
  undecided: 33,
  "not measured": 2,
};

/**
 * One line for each expectation with the numbers that decided, ending in a line feed; what was not measured is named in
 * the last line.
 */
export function printVerdicts(
  results: ComparisonResults,
  { language, hasColour = false }: { readonly language: Language; readonly hasColour?: boolean },
): string {
  const verdicts = verdictsOf(results);
  const measured = verdicts.filter(({ status }) => status !== "not measured");
  const missing = verdicts.filter(({ status }) => status === "not measured");
  const [comma, colon] = language === "en" ? [", ", ": "] : ["，", "："];
  const lines = measured.map(({ status, claim, reason, evidence }) => {
    const { sign, text } = statusText[status];
    const head = `${sign} ${text[language]}${colon}${claim[language]}`;
    const numbers = evidence.map(({ label, value }) => `${label[language]} ${value}`).join(comma);
    const coloured = hasColour ? `\u001B[${colours[status]}m${head}\u001B[0m` : head;
    return `${coloured}\n    ${numbers} (${reason[language]})`;
  });
  if (missing.length > 0) {
    lines.push(
      `${statusText["not measured"].sign} ${statusText["not measured"].text[language]}${colon}` +
        missing.map(({ claim }) => claim[language]).join(language === "en" ? "; " : "；"),
    );
  }
  return `${lines.join("\n")}\n`;
}
