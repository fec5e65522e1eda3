/** @file A table of a report under its caption, in a region of its own that scrolls sideways, by keyboard too. */
import { type Bilingual } from "./bilingual.ts";
import { both, type Content, html, type Markup } from "./markup.ts";

/**
 * The table.
 *
 * @param caption - also the name of the region
 * @param head - what stands above each column; the first is that of row heads, which are aligned as it is
 * @param rows - `<tr>` each
 */
export function captionedTable(
  caption: Bilingual,
  head: readonly Content[],
  rows: readonly Markup[],
): Markup {
  const [first, ...others] = head;
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${caption.en} / ${caption.zh}">
    <table>
      <caption>
        <span>${both(caption)}</span>
      </caption>
      <thead>
        <tr>
          <th scope="col" class="first">${first}</th>
          ${others.map((title) => html`<th scope="col">${title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}
