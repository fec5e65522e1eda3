/** @file What one check of `doctor` says. */
import { type texts } from "../dictionary/doctor.ts";
import { type Bilingual } from "../language.ts";

/** `absent` is no fault where the check is not needed; `failed` means that it is there and wrong. */
export interface Check {
  readonly name: keyof typeof texts.names;
  readonly state: keyof typeof texts.states;
  /** Whether training and attending need it. */
  readonly isNeeded: boolean;
  /** What was found. */
  readonly value: Bilingual;
  readonly cure?: Bilingual;
}

/** A short text that is the same in both languages. */
export const plain = (text: string): Bilingual => ({ en: text, zh: text });
