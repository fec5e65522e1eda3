/** @file Text in columns of a terminal: Chinese characters are two wide, and a line may break between any two of them. */
import stringWidth from "string-width";

/** The columns that a text takes. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

/** Words of Latin text, single characters of Chinese; opening marks stay with what follows, closing ones with what precedes. */
const chunk =
  /\s*(?:[（「『“]*[\u3007-\u9fff][，。；：、）」』”？！]*|[^\s\u3007-\u9fff，。；：、（）「」『』“”？！]+[，。；：、）」』”？！]*|[^\s])/gu;

/** Breaks a text into lines of at most `columns`, where its words allow it. */
export function wrapText(text: string, columns: number): string[] {
  return text.split(/\r?\n/).flatMap((paragraph) => {
    const lines: string[] = [];
    let line = "";
    for (const [piece] of paragraph.matchAll(chunk)) {
      if (line !== "" && widthOf(line + piece) > columns) {
        lines.push(line);
        line = piece.trimStart();
      } else {
        line += piece;
      }
    }
    return [...lines, line];
  });
}

/** The text padded by spaces to `columns`, on its right or on its left. */
export function padTo(text: string, columns: number, align: "left" | "right" = "left"): string {
  const space = " ".repeat(Math.max(0, columns - widthOf(text)));
  return align === "left" ? text + space : space + text;
}

/** The text, or as much of its start as fits with an ellipsis. */
export function cutTo(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  return columns < 1 ? "" : `${startOf(charactersOf(text), columns - 1).join("")}…`;
}

/** The text, or its start and its end around an ellipsis: lists of settings often differ in their last word only. */
export function cutMiddle(text: string, columns: number): string {
  if (widthOf(text) <= columns || columns < 4) return cutTo(text, columns);
  const end = startOf(charactersOf(text).reverse(), Math.floor((columns - 1) / 2))
    .reverse()
    .join("");
  return `${startOf(charactersOf(text), columns - 1 - widthOf(end)).join("")}…${end}`;
}

const segmenter = new Intl.Segmenter();

/** What a person takes for one character, whatever it is made of. */
function charactersOf(text: string): string[] {
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

/** As many of the characters as fit. */
function startOf(characters: readonly string[], columns: number): string[] {
  let [count, width] = [0, 0];
  for (const character of characters) {
    width += widthOf(character);
    if (width > columns) break;
    count++;
  }
  return characters.slice(0, count);
}
