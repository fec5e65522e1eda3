/**
 * @file A part of an attention (similarity, position, pattern, selection, normaliser, aggregation), or a rule of the
 * recurrent class: a plain typed object made by a function of the same name, which also carries what `qklab list` prints
 * about it.
 */
import { checkOptions, type OptionRule, type OptionValue, type Options } from "./options.ts";

/** The kinds of parts of an attention. */
export type PartKind = "similarity" | "position" | "pattern" | "selection" | "normaliser" | "aggregation";

/** What every part has: its kind, its name in selectors and the options it was made with. */
export interface Part {
  readonly kind: PartKind | "recurrence";
  readonly name: string;
  readonly options: Options;
}

/** What is known about a part before it is made. */
export interface PartDefinition {
  readonly kind: PartKind | "recurrence";
  /** The name in selectors. */
  readonly selector: string;
  /** What it computes, in one line of mathematics. */
  readonly formula: string;
  /** Paper, equation or code that the formula comes from. */
  readonly source: string;
  readonly rules: Readonly<Record<string, OptionRule>>;
}

/** The function that makes a part, with its definition. */
export interface PartFactory<P extends Part, O extends object = Record<string, OptionValue>> {
  (options?: Readonly<O>): P;
  readonly definition: PartDefinition;
}

/**
 * Makes the factory of a part: checks options by the definition's rules, then adds kind, name and options to what
 * `build` returns.
 */
export function definePart<P extends Part, O extends object>(
  definition: PartDefinition,
  build: (options: Readonly<O>) => Omit<P, "kind" | "name" | "options">,
): PartFactory<P, O> {
  const make = (given: Readonly<O> = {} as O): P => {
    const options = checkOptions(
      definition.selector,
      definition.rules,
      given as Readonly<Record<string, OptionValue | undefined>>,
    );
    return { kind: definition.kind, name: definition.selector, options, ...build(options as O) } as P;
  };
  return Object.assign(make, { definition });
}

/** A part as its selector: `name[:option=value[,option=value]…]`. */
export function printPart({ name, options }: Part): string {
  const written = Object.entries(options).map(([option, value]) => `${option}=${value}`);
  return written.length === 0 ? name : `${name}:${written.join(",")}`;
}
