/** @file What is read and written, in words. */
import { type DistillationProblem, type LanguageProblem } from "../protocol.ts";

/** A problem as readers see it. */
export function languageText({ context, tokens, pass }: LanguageProblem): string {
  if (context.length > 0) return `decode ${tokens.length} tokens after ${context.length}`;
  return `prefill ${tokens.length} tokens${pass === "at once" ? "" : ", one by one"}`;
}

/** The same of a step of a distillation. */
export function distillationText({ selector, layer, batch, length }: DistillationProblem): string {
  return `distil layer ${layer} to ${selector}, ${batch * length} tokens a step`;
}
