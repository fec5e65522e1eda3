/**
 * @file The parameters of a key/value cache: those that keys and values are lifted with are fixed when it is made, the
 * others may change from call to call.
 */
import { type Composition, resolveParameters } from "../../../attention/index.ts";
import { UnsupportedError } from "../../../base/errors.ts";
import { type Tensor, type Tensor64 } from "../../../base/tensor.ts";
import { type CacheSizes, requireNothingCalibrated } from "./cache-checks.ts";
import { groupedParameters } from "./query-groups.ts";

type Given = Readonly<Record<string, Tensor>>;
type Resolved = Readonly<Record<string, Tensor64>>;

/** Parameters of one call: of query heads [H, …], and of key heads [G, …] where the queries of a group may share its keys. */
export interface CallParameters {
  readonly resolved: Resolved;
  readonly grouped: Resolved | undefined;
}

export class CacheParameters {
  readonly #composition: Composition;
  readonly #sizes: Required<CacheSizes>;
  /** As the cache was given them. */
  readonly given: Given;
  readonly #usual: CallParameters;
  /** Whether every query head has keys of its own, as a metric of its own lifts them. */
  readonly ownKeys: boolean;
  readonly ownValues: boolean;

  /** @throws UnsupportedError `cache-calibration` */
  constructor(composition: Composition, sizes: Required<CacheSizes>, given: Given) {
    this.#composition = composition;
    this.#sizes = sizes;
    this.given = frozen(given);
    requireNothingCalibrated(composition, this.given);
    this.ownKeys = composition.similarity.metric !== undefined;
    this.ownValues = composition.aggregation.name === "centroid";
    this.#usual = this.#callParameters(resolveParameters(composition, sizes, this.given));
  }

  /** Those of a call that is given some of its own. */
  ofCall(own: Given | undefined): CallParameters {
    if (own === undefined) return this.#usual;
    const { similarity, aggregation } = this.#composition;
    const ofValues = this.ownValues ? aggregation.parameters.map(({ name }) => name) : [];
    const lifting = new Set([similarity.metric, ...ofValues]);
    const fixed = Object.keys(own).find((name) => lifting.has(name));
    if (fixed !== undefined) {
      throw new UnsupportedError(
        "cache-parameter",
        `Cannot set '${fixed}' for one call as what is in the cache was lifted with it: it is fixed when the cache is made. ` +
          "Pass it to wasmCache, or make a new cache and append again",
      );
    }
    return this.#callParameters(resolveParameters(this.#composition, this.#sizes, { ...this.given, ...own }));
  }

  #callParameters(resolved: Resolved): CallParameters {
    return { resolved, grouped: groupedParameters(this.#composition, this.#sizes, resolved) };
  }

  /** The square root of a head's metric, which keys are lifted with. */
  rootMetric(head: number): Float64Array | undefined {
    const { metric } = this.#composition.similarity;
    if (metric === undefined) return undefined;
    const { width } = this.#sizes;
    return this.#usual.resolved[metric].data.subarray(head * width, (head + 1) * width).map(Math.sqrt);
  }

  /** The curvature that a head's values are lifted with. */
  curvature(head: number): number | undefined {
    if (!this.ownValues) return undefined;
    const [parameter] = this.#composition.aggregation.parameters;
    return parameter === undefined ? 1 : this.#usual.resolved[parameter.name].data[head];
  }
}

/** Copies, so that nobody changes what keys were lifted with. */
function frozen(parameters: Given): Given {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, { data, shape }]) => [
      name,
      { data: data.slice(), shape: [...shape] },
    ]),
  );
}
