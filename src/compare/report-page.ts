/** @file The page of a report: one file that needs nothing else, in two languages, with its numbers inside. */
import { type Bilingual } from "./bilingual.ts";
import { both, type Content, html, type Markup, raw, scriptJson } from "./markup.ts";
import { script, styleSheet } from "./report-style.ts";
import { reportText } from "./report-text.ts";

/** What a report shows. */
export interface ReportPage {
  readonly title: Bilingual;
  readonly header: Content;
  readonly main: Content;
  /** What its buttons save, by the id that they name. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** The whole file. */
export function reportPage({ title, header, main, data }: ReportPage): string {
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="generator" content="qklab" />
        <title>${title.en} · ${title.zh} · qklab</title>
        <style>
          ${raw(styleSheet)}
        </style>
      </head>
      <body>
        ${controls()}
        <header>${header}</header>
        <main>${main}</main>
        ${Object.entries(data).map(
          ([id, numbers]) =>
            html`<script type="application/json" id="${id}">
              ${scriptJson(numbers)}
            </script>`,
        )}
        <script>
          ${raw(script)};
        </script>
      </body>
    </html> `;
  return page.markup;
}

/** Numbers of the page that a button saves as a file. */
export interface SavedData {
  /** Their id in `data`. */
  readonly from: string;
  readonly name: string;
  readonly type: string;
  /** Whether they are saved as JSON; a text is saved as it is. */
  readonly isJson?: boolean;
}

/** All that a report shows. */
export const reportJson: SavedData = {
  from: "report-json",
  name: "report.json",
  type: "application/json",
  isJson: true,
};

/** A button that saves them; without scripts it is not there. */
export function saveButton(text: Bilingual, { from, name, type, isJson = false }: SavedData): Markup {
  return html`<button
    type="button"
    hidden
    data-from="${from}"
    ${isJson ? raw('data-json="yes"') : undefined}
    data-name="${name}"
    data-type="${type}"
  >
    ${both(text)}
  </button>`;
}

/** The reader's choices of language and colours. */
function controls(): Markup {
  const choice = (group: string, id: string, isChecked: boolean, text: Markup): Markup =>
    html`<label
      ><input type="radio" name="${group}" id="${id}" ${isChecked ? raw(" checked") : undefined} />
      ${text}</label
    >`;
  return html`<div class="controls">
    <fieldset>
      <legend>${both(reportText.language)}</legend>
      ${choice("lang", "lang-en", true, html`English`)}${choice("lang", "lang-zh", false, html`中文`)}
    </fieldset>
    <fieldset>
      <legend>${both(reportText.theme)}</legend>
      ${choice("theme", "theme-auto", true, both(reportText.themeAuto))}${choice(
        "theme",
        "theme-light",
        false,
        both(reportText.themeLight),
      )}${choice("theme", "theme-dark", false, both(reportText.themeDark))}
    </fieldset>
  </div>`;
}
