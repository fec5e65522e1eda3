/** @file What is read and written, in words. */
import { type LanguageProblem } from "../protocol.ts";

/** A problem as readers see it. */
export function languageText({ context, tokens, pass }: LanguageProblem): string {
  if (context.length > 0) return `decode ${tokens.length} tokens after ${context.length}`;
  return `prefill ${tokens.length} tokens${pass === "at once" ? "" : ", one by one"}`;
}
