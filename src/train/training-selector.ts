/**
 * @file The attention that a run trains, from the selector that somebody wrote: what it leaves open is filled in, the same
 * for every similarity, so that a comparison compares nothing else.
 */
import { parseSelector, partFactories, printSelector } from "../attention/index.ts";
import { type OptionRule } from "../base/options.ts";
import { parseMixer, positionOf, printMixer } from "../models/index.ts";
import { causal } from "../patterns/index.ts";
import { nope, type Position } from "../positions/index.ts";
import { type Similarity } from "../similarities/index.ts";

/**
 * A complete selector: causal where no pattern is named, the task's position where none is, and a calibrated temperature
 * where none is given. A recurrence has its order in time and no temperature; of the task's positions it gets those that are
 * added to embeddings.
 *
 * @param selector - as it was written
 * @param position - the task's default (none when absent)
 * @throws DomainError for selectors that cannot be read
 */
export function trainingSelector(selector: string, position: Position = nope()): string {
  const mixer = parseMixer(selector);
  if (mixer.kind === "recurrence") {
    const isGiven = positionOf(mixer) !== undefined || position.place !== "embedding";
    return printMixer(isGiven ? mixer : { ...mixer, position });
  }
  const { parts } = mixer;
  return printSelector({
    ...parts,
    similarity: calibrated(parts.similarity),
    position: parts.position ?? position,
    patterns: parts.patterns.length === 0 ? [causal()] : parts.patterns,
  });
}

/**
 * A complete router, whose temperature is calibrated where none is given; other parts are the decoder's to refuse.
 *
 * @param selector - as it was written
 * @throws DomainError for selectors that cannot be read
 */
export function trainingRouter(selector: string): string {
  const parts = parseSelector(selector);
  return printSelector({ ...parts, similarity: calibrated(parts.similarity) });
}

/**
 * What to know of how a selector is computed; nothing where the engine has its kernels.
 *
 * @param isFused - whether there is an engine
 */
export function computationNotes(selector: string, isFused: boolean): readonly string[] {
  const mixer = parseMixer(selector);
  if (mixer.kind === "attention") return [];
  const { rule } = mixer.recurrence;
  if (isFused) return [];
  return [`'${rule.name}' is computed by the f64 reference, as jax-js has no form of it`];
}

/** The similarity with `auto` for its temperature, unless that was given; one without a temperature stays as it is. */
function calibrated(similarity: Similarity): Similarity {
  const factory = partFactories.similarity.find(({ definition }) => definition.selector === similarity.name);
  const options = Object.entries(factory?.definition.rules ?? {}).filter(([, rule]) =>
    meansCalibration(rule),
  );
  const isGiven = options.some(([name]) => similarity.options[name] !== undefined);
  if (factory === undefined || options.length === 0 || isGiven) return similarity;
  const [[name]] = options;
  return factory({ ...similarity.options, [name]: "auto" }) as Similarity;
}

/** Whether `auto` is one of an option's words; text that may be anything does not count. */
function meansCalibration(rule: OptionRule): boolean {
  return rule.accepts("auto") && !rule.accepts("any other word");
}
