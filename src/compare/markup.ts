/** @file HTML as a template that escapes what is put into it; only markup made here goes in as it is. */
import { type Bilingual } from "./bilingual.ts";

/** HTML that is safe to put into more HTML. */
export interface Markup {
  readonly markup: string;
}

/** What a template takes: text is escaped, lists are joined, and what is absent leaves nothing. */
export type Content = string | number | Markup | readonly Content[] | undefined;

/** HTML from a template: interpolated strings are text, never tags or attributes' ends. */
export function html(strings: TemplateStringsArray, ...contents: readonly Content[]): Markup {
  return {
    markup: strings.reduce((text, string, index) => text + printContent(contents[index - 1]) + string),
  };
}

/** Markup that was made elsewhere, such as a drawing. */
export const raw = (markup: string): Markup => ({ markup });

/** A text in both languages; the style sheet shows the one that the reader chose. */
export function both({ en, zh }: Bilingual): Markup {
  return en === zh ? html`${en}` : html`<span lang="en">${en}</span><span lang="zh">${zh}</span>`;
}

/** JSON for a script element: no text inside it can end the element. */
export function scriptJson(value: unknown): Markup {
  return raw(JSON.stringify(value).replaceAll("<", String.raw`\u003c`));
}

/** Text for HTML, inside elements or quoted attributes. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

function printContent(content: Content): string {
  if (content === undefined) return "";
  if (typeof content === "string") return escapeHtml(content);
  if (typeof content === "number") return String(content);
  return "markup" in content ? content.markup : content.map(printContent).join("");
}
