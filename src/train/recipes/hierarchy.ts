/**
 * @file Hierarchy: embed a taxonomy so that every node's ancestors are nearer to it than anything else (Nickel & Kiela
 * 2017), with any similarity of the algebra as the measure, by Riemannian gradient descent in the similarity's own space.
 * It is attention with the child as the query and all nodes as the keys.
 */
import * as v from "valibot";
import { parseSelector } from "../../attention/index.ts";
import { DomainError } from "../../base/errors.ts";
import { random } from "../../base/random.ts";
import { tensor64 } from "../../base/tensor.ts";
import {
  completeTree,
  type Hierarchy,
  hierarchySampler,
  mammalHierarchy,
  rankNeighbours,
} from "../../tasks/index.ts";
import { embeddingTrainer } from "../embedding-trainer.ts";
import { whole } from "../setting-schemas.ts";
import { readSettings } from "../settings.ts";
import { type DataSource, type Metrics, type Recipe, type Trainable } from "../trainable.ts";

/** Settings of the hierarchy recipe. */
export interface HierarchySettings {
  /** `mammals` (WordNet 3.0, the default) or `tree`, a complete tree. */
  readonly source: "mammals" | "tree";
  /** Children of a tree's inner node. */
  readonly branching: number;
  /** Edges from a tree's root to a leaf. */
  readonly depth: number;
  /** D, coordinates of an embedding. */
  readonly width: number;
  readonly epochs: number;
  /** Epochs at a tenth of the learning rate, in which the points find their directions. */
  readonly burnIn: number;
  /** Wrong candidates per pair. */
  readonly negatives: number;
  /** Pairs whose gradients are added before the points move. */
  readonly batch: number;
  /** Embeddings begin uniform in ±this. */
  readonly initialScale: number;
}

const schema = v.strictObject({
  source: v.optional(v.picklist(["mammals", "tree"], "it must be mammals or tree"), "mammals"),
  branching: v.optional(whole(2), 3),
  depth: v.optional(whole(1), 5),
  width: v.optional(whole(1), 5),
  epochs: v.optional(whole(1), 50),
  burnIn: v.optional(whole(0), 10),
  negatives: v.optional(whole(1), 50),
  batch: v.optional(whole(1), 10),
  initialScale: v.optional(v.pipe(v.number(), v.gtValue(0, "it must be a number > 0")), 1e-3),
});

const metric = { name: "meanAveragePrecision", unit: "mAP", better: "higher" } as const;

/** One step is one epoch: every pair once, in random order. */
export const hierarchyRecipe: Recipe<HierarchySettings> = {
  task: "hierarchy",
  metric,
  comparesPairs: true,
  unit: "pairs",
  settings: (overrides) => readSettings("hierarchy", schema, overrides),
  idle: ({ source }) => (source === "tree" ? {} : { branching: "source", depth: "source" }),
  learningRates: () => [0.1, 0.3, 1],
  async create({ selector, seed, learningRate, settings, data }): Promise<Trainable> {
    const parts = parseSelector(selector);
    requireSimilarityOnly(selector, parts);
    const hierarchy = await readHierarchy(settings, data);
    const { width } = settings;
    const trainer = embeddingTrainer({
      similarity: parts.similarity,
      count: hierarchy.names.length,
      width,
      initialScale: settings.initialScale,
      seed,
    });
    const sampler = hierarchySampler(hierarchy);
    const pairCount = hierarchy.pairs.length / 2;

    let measured: Metrics | undefined;
    /** The reconstruction has no held-out part: it measures what a space of that width can hold, so once is enough. */
    const measure = (): Metrics => {
      measured ??= { ...rankNeighbours(hierarchy, trainer.scoreRow), ...trainer.measure() };
      return measured;
    };

    return {
      steps: settings.epochs,
      step(step) {
        measured = undefined;
        const draws = random(seed, "hierarchy", "train", step);
        const rate = learningRate * (step < settings.burnIn ? 0.1 : 1);
        const order = draws.distinct(pairCount, pairCount);
        let loss = 0;
        order.forEach((pair, place) => {
          const node = hierarchy.pairs[2 * pair];
          const ancestor = hierarchy.pairs[2 * pair + 1];
          loss += trainer.learn(node, ancestor, sampler.negatives(node, settings.negatives, draws));
          if ((place + 1) % settings.batch === 0 || place + 1 === pairCount) trainer.move(rate);
        });
        return Promise.resolve({ loss: loss / pairCount, learningRate: rate, items: pairCount });
      },
      validate: async () => measure(),
      test: async () => measure(),
      snapshot: () =>
        Promise.resolve({
          model: {
            embeddings: tensor64(trainer.table.slice(), [hierarchy.names.length, width]),
            parameters: tensor64(trainer.parameters.slice(), [trainer.parameters.length]),
          },
          optimiser: {},
          state: {},
        }),
      restore({ model }) {
        measured = undefined;
        trainer.restore(model["embeddings"].data, model["parameters"].data);
        return Promise.resolve();
      },
      dispose: () => undefined,
    };
  },
};

async function readHierarchy(settings: HierarchySettings, data: DataSource): Promise<Hierarchy> {
  return settings.source === "tree"
    ? completeTree(settings.branching, settings.depth)
    : mammalHierarchy(await data.nouns());
}

/** Other parts would have no effect on the distance of two embeddings, so they are refused. */
function requireSimilarityOnly(selector: string, parts: ReturnType<typeof parseSelector>): void {
  const { similarity: _, patterns, ...others } = parts;
  const extra = [...patterns, ...Object.values(others)].map(({ name }) => name);
  if (extra.length === 0) return;
  throw new DomainError(
    "hierarchy-selector",
    `Cannot embed a hierarchy with '${selector}' as only the similarity compares embeddings: ${extra.join(", ")} would have no ` +
      "effect. Name the similarity alone",
  );
}
