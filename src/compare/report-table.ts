/** @file A table of a report under its caption, in a region of its own that scrolls sideways, by keyboard too. */
import { type Bilingual } from "./bilingual.ts";
import { both, type Content, html, type Markup } from "./markup.ts";

/**
 * The table.
 *
 * @param caption - also the name of the region
 * @param head - what stands above each column
 * @param rows - `<tr>` each
 * @param words - which columns hold words, which begin at the left; numbers end at the right
 */
export function captionedTable(
  caption: Bilingual,
  head: readonly Content[],
  rows: readonly Markup[],
  words: readonly number[] = [0],
): Markup {
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${caption.en} / ${caption.zh}">
    <table>
      <caption>
        <span>${both(caption)}</span>
      </caption>
      <thead>
        <tr>
          ${head.map((title, column) =>
            words.includes(column)
              ? html`<th scope="col" class="text">${title}</th>`
              : html`<th scope="col">${title}</th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}
