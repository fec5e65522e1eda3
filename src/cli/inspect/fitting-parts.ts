/** @file Which positions and aggregations an attention could have instead of its own, found out by composing them. */
import { type Aggregation } from "../../aggregations/index.ts";
import { compose, type Composition, partFactories } from "../../attention/index.ts";
import { type Part, type PartKind, UnsupportedError } from "../../base/index.ts";
import { full } from "../../patterns/index.ts";
import { type Position } from "../../positions/index.ts";
import { type Similarity } from "../../similarities/index.ts";

/** Whether a part fits, and why not. */
export interface Fit {
  readonly name: string;
  readonly fits: boolean;
  readonly reason?: string;
}

/** Every position with this similarity. */
export function fittingPositions(similarity: Similarity): Fit[] {
  return tryEach("position", (position) => {
    compose({ similarity, pattern: full(), position: position as Position });
  });
}

/** Every aggregation with this similarity and normaliser. */
export function fittingAggregations({ similarity, normaliser }: Composition): Fit[] {
  return tryEach("aggregation", (aggregation) => {
    // Composing says at run time what the types of a literal spec say at compile time.
    compose({ similarity, pattern: full(), normaliser, aggregation: aggregation as Aggregation<"mean"> });
  });
}

function tryEach(kind: PartKind, attempt: (part: Part) => void): Fit[] {
  return partFactories[kind].map((make): Fit => {
    const name = make.definition.selector;
    try {
      attempt(make());
      return { name, fits: true };
    } catch (error) {
      if (error instanceof UnsupportedError) return { name, fits: false, reason: error.message };
      throw error;
    }
  });
}
