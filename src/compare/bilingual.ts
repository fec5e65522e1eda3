/** @file Text in the two languages of every report and table; a missing translation does not compile. */

/** English and Chinese. */
export type Language = "en" | "zh";

/** The same text in both languages. */
export type Bilingual = Readonly<Record<Language, string>>;

/** Text that is the same in both: names, numbers, selectors. */
export const same = (text: string): Bilingual => ({ en: text, zh: text });
