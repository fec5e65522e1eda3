/** @file Rotary positions as `config.json` writes them, as the part of a selector. */
import * as v from "valibot";
import { UnsupportedError } from "../../base/errors.ts";
import { type Absent, type Entries, extent, flag, most, positive, readConfig } from "./read-config.ts";

const scalingEntries = {
  rope_type: v.nullish(v.string()),
  type: v.nullish(v.string()),
  rope_theta: v.nullish(positive),
  factor: v.nullish(positive),
  original_max_position_embeddings: v.nullish(extent(most.length)),
  low_freq_factor: v.nullish(positive),
  high_freq_factor: v.nullish(positive),
  beta_fast: v.nullish(positive),
  beta_slow: v.nullish(positive),
  attention_factor: v.nullish(positive),
  truncate: v.nullish(flag),
};

/** The members of a config that positions are read from. */
export interface RopeMembers {
  readonly rope_theta?: Absent<number>;
  readonly rope_scaling?: unknown;
  /** What later versions write in place of the other two. */
  readonly rope_parameters?: unknown;
  readonly rope_interleaved?: Absent<boolean>;
  readonly max_position_embeddings: number;
}

/** The entries of {@link RopeMembers} in a schema, but for the length. */
export const ropeEntries: Entries<Omit<RopeMembers, "max_position_embeddings">> = {
  rope_theta: v.nullish(positive),
  rope_scaling: v.nullish(v.unknown()),
  rope_parameters: v.nullish(v.unknown()),
  rope_interleaved: v.nullish(flag),
};

/**
 * `rope:theta=…[,layout=interleaved][,scaling=…]`. Scaling `dynamic` changes nothing within `max_position_embeddings` places, and a
 * model takes no longer sequences: it is rope itself.
 *
 * @throws UnsupportedError `config-rope` for a scaling, or a setting of one, that is not here
 */
export function ropeSelector(family: string, members: RopeMembers): string {
  const given = members.rope_parameters ?? members.rope_scaling ?? {};
  const scaling = readConfig(`${family} (rope scaling)`, given, scalingEntries);
  const theta = scaling.rope_theta ?? members.rope_theta ?? 10_000;
  const layout = members.rope_interleaved === true ? ",layout=interleaved" : "";
  return `rope:theta=${theta}${layout}${scalingOptions(scaling, members.max_position_embeddings)}`;
}

type Scaling = v.InferOutput<v.ObjectSchema<typeof scalingEntries, undefined>>;

function scalingOptions(scaling: Scaling, length: number): string {
  const type = scaling.rope_type ?? scaling.type ?? "default";
  const original = scaling.original_max_position_embeddings ?? length;
  const { factor } = scaling;
  const needed = (): number => factor ?? refuse(`${type} needs 'factor': nothing was given`);
  switch (type) {
    case "default":
    case "dynamic":
      return "";
    case "linear":
      return `,scaling=pi,factor=${needed()}`;
    case "yarn":
      only("beta_fast", scaling.beta_fast, 32);
      only("beta_slow", scaling.beta_slow, 1);
      only("truncate", scaling.truncate, true);
      only("attention_factor", scaling.attention_factor, Math.max(0.1 * Math.log(needed()) + 1, 1));
      return `,scaling=yarn,factor=${needed()},original=${original}`;
    case "llama3":
      only("low_freq_factor", scaling.low_freq_factor, 1);
      only("high_freq_factor", scaling.high_freq_factor, 4);
      return `,scaling=llama3,factor=${needed()},original=${original}`;
    default:
      return refuse(`scalings are default, linear, dynamic, yarn and llama3: ${JSON.stringify(type)}`);
  }
}

/** Refuses a setting that is neither absent nor what the scaling has here. */
function only(name: string, value: number | boolean | null | undefined, here: number | boolean): void {
  const isSame =
    typeof value === "number" && typeof here === "number" ? Math.abs(value - here) < 1e-6 : value === here;
  if (value === undefined || value === null || isSame) return;
  refuse(`'${name}' is ${here} here: ${value}`);
}

function refuse(what: string): never {
  throw new UnsupportedError(
    "config-rope",
    `Cannot read rotary positions as ${what}. Use a model with another scaling, or without one`,
  );
}
