/**
 * @file Facts: how many bits of a table without rules a decoder stores (see `tasks/facts.ts`), against its parameters. There is
 * no other data to test on: what is measured is what was learned by heart, so validation and test are the table itself. One head
 * is enough to read a name of a few letters; what stores is the feed-forward.
 */
import * as v from "valibot";
import { random } from "../../base/random.ts";
import { sinusoidal } from "../../positions/index.ts";
import { bitsRecovered, factTable, factTokens, type LabelledTokens } from "../../tasks/index.ts";
import { decoderEntries, type DecoderSettings, idleDecoderSettings } from "../decoder-settings.ts";
import { type SettingEntries, whole } from "../setting-schemas.ts";
import { readSettings } from "../settings.ts";
import { fitting, measureLabels, tokenTrainable } from "../token-task.ts";
import { type Recipe } from "../trainable.ts";

/** Settings of the facts recipe. */
export interface FactsRecipeSettings extends DecoderSettings {
  /** F */
  readonly facts: number;
  /** Letters that names are made of. */
  readonly letters: number;
  /** Letters of a name. */
  readonly nameLength: number;
  /** C, answers that a fact may have. */
  readonly answers: number;
}

const entries: SettingEntries<FactsRecipeSettings> = {
  ...decoderEntries,
  width: v.optional(whole(1), 32),
  heads: v.optional(whole(1), 1),
  batch: v.optional(whole(1), 256),
  steps: v.optional(whole(1), 3000),
  warmUp: v.optional(whole(0), 100),
  facts: v.optional(whole(1), 4096),
  letters: v.optional(whole(2), 16),
  nameLength: v.optional(whole(1), 4),
  answers: v.optional(whole(2), 16),
};

/**
 * The metric is the bits recovered; `bitsPerParameter` and `bitsPerActiveParameter` divide them by all parameters and by those
 * that one token meets, `storedShare` by the bits of the table.
 */
export const factsRecipe: Recipe<FactsRecipeSettings> = {
  task: "facts",
  metric: { name: "bits", unit: "bits", better: "higher" },
  unit: "facts",
  settings: (overrides) => fitting(readSettings("facts", v.strictObject(entries), overrides), factTable),
  idle: idleDecoderSettings,
  learningRates: () => [0.003, 0.01, 0.03],
  create(request) {
    const { seed, settings } = request;
    const { letters, answers, nameLength, batch, facts } = settings;
    const table = factTable(settings, random(seed, "facts", "table"));
    const some = (first: number, count: number, order: (place: number) => number): LabelledTokens =>
      factTokens(
        table,
        Int32Array.from({ length: count }, (_, place) => order(first + place)),
      );
    return tokenTrainable({
      request,
      vocabulary: letters + answers,
      maximumLength: nameLength,
      position: sinusoidal(),
      batchAt: (_, step) => some(step * batch, batch, shuffled(facts, seed)),
      async measure(_, evaluate, { parameters, activeParameters }) {
        const batches: LabelledTokens[] = [];
        for (let first = 0; first < facts; first += batch) {
          batches.push(some(first, Math.min(batch, facts - first), (fact) => fact));
        }
        const { accuracy, loss } = await measureLabels(batches, evaluate);
        const bits = bitsRecovered(table, [loss * facts]);
        return {
          bits,
          accuracy,
          loss,
          storedShare: bits / table.bits,
          bitsPerParameter: bits / parameters,
          bitsPerActiveParameter: bits / activeParameters,
          activeParameters,
        };
      },
    });
  },
};

/** The facts one after another, every pass in an order of its own. */
function shuffled(facts: number, seed: number): (place: number) => number {
  const orders = new Map<number, Int32Array>();
  return (place) => {
    const pass = Math.floor(place / facts);
    let order = orders.get(pass);
    if (order === undefined) {
      order = random(seed, "facts", "order", pass).distinct(facts, facts);
      orders.set(pass, order);
    }
    return order[place % facts];
  };
}
