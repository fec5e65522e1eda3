/** @file `inspect ROUTING`: how tokens get to experts: its formula, what it may be told, its parameters and what a token costs. */
import { type RoutingName, routings, type RoutingRule } from "../../kernels/reference/routing-rule.ts";
import { texts } from "../dictionary/inspect.ts";
import { type Section } from "../printing.ts";
import { printNumber } from "../quantities.ts";
import { type Session } from "../session.ts";
import { columns, factTable } from "./tables.ts";

/** A rule of routing as `inspect --json` prints it. */
export interface RoutingDescription {
  readonly kind: "routing";
  readonly name: RoutingName;
  readonly width: number;
  /** The weights of a token's experts, from its scores. */
  readonly formula: string;
  readonly source: string;
  /** Scores whose softmax the weights are taken from. */
  readonly weighing: RoutingRule["weighing"];
  /** What tasks may set, with what it is where nobody does. */
  readonly options: readonly {
    readonly name: string;
    readonly allowed: string;
    readonly default: string | number;
  }[];
  /** E, experts that the sizes below are for. */
  readonly experts: number;
  /** F, width inside an expert. */
  readonly hidden: number;
  /** Of a layer. */
  readonly parameters: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly parameterCount: number;
  /** Those that one token meets. */
  readonly activeParameterCount: number;
  /** Multiplications of one token: with all expert keys, and inside its experts. */
  readonly multiplications: { readonly router: number; readonly experts: number };
}

/** As many as a `moeTransformer` has where nothing else is said. */
const usualExperts = 8;

/** Takes a rule of routing apart, in a SwiGLU decoder of some width. */
export async function describeRouting(name: RoutingName, width: number): Promise<RoutingDescription> {
  const { resolveDecoderConfig } = await import("../../models/decoder-config.ts");
  const { make, formula, source } = routings[name];
  const { choices, capacityFactor = "none", balance, weighing } = make();
  const experts = usualExperts;
  const { hidden } = resolveDecoderConfig({
    vocabulary: 2,
    width,
    layers: 1,
    heads: 1,
    attention: "dot+causal",
    maximumLength: 1,
    experts: { count: experts, routing: name },
  });
  const keys = { name: "router.weight", shape: [experts, width] };
  const weights = [
    { name: "experts.gate_proj.weight", shape: [experts, hidden, width] },
    { name: "experts.up_proj.weight", shape: [experts, hidden, width] },
    { name: "experts.down_proj.weight", shape: [experts, width, hidden] },
  ];
  const ofExpert = weights.length * hidden * width;
  return {
    kind: "routing",
    name,
    width,
    formula,
    source,
    weighing,
    options: [
      { name: "router", allowed: "any similarity", default: "dot:scale=auto" },
      { name: "choices", allowed: "1, 2, 3…", default: choices },
      { name: "capacityFactor", allowed: "a number > 0, or none", default: capacityFactor },
      { name: "balance", allowed: "a number ≥ 0", default: balance },
    ],
    experts,
    hidden,
    parameters: [keys, ...weights],
    parameterCount: experts * (width + ofExpert),
    activeParameterCount: experts * width + choices * ofExpert,
    multiplications: { router: experts * width, experts: choices * ofExpert },
  };
}

/** What it does, what it may be told, what it costs. */
export function routingSections(description: RoutingDescription, { say }: Session): Section[] {
  const { name, width, formula, source, weighing, options, experts, hidden, parameters } = description;
  const capacity = options.find((option) => option.name === "capacityFactor")?.default;
  const choices = options.find((option) => option.name === "choices")?.default;
  const { parameterCount, activeParameterCount, multiplications } = description;
  return [
    {
      title: texts.routing(name, width, experts, hidden),
      table: factTable(
        {
          weights: formula,
          weighing: say(weighing === "all" ? texts.allScores : texts.chosenScores),
          capacity: say(
            capacity === "none" ? texts.noCapacity : texts.capacity(`⌈${capacity} · M · ${choices} / E⌉`),
          ),
          balance: "balance · E · Σ_e f_e · p_e",
          allParameters: printNumber(parameterCount),
          metParameters: printNumber(activeParameterCount),
          cost: `E · D + k · 3 · F · D = ${printNumber(multiplications.router)} + ${printNumber(multiplications.experts)}`,
          paper: source,
        },
        say,
      ),
    },
    {
      title: texts.routingOptions,
      table: {
        columns: columns("setting", "domain", "default"),
        rows: options.map((option) => ({
          setting: option.name,
          domain: option.allowed,
          default: option.default,
        })),
      },
    },
    {
      title: texts.routingParameters,
      table: {
        columns: columns("name", "shape"),
        rows: parameters.map(({ shape, ...parameter }) => ({ ...parameter, shape: `[${shape.join(", ")}]` })),
      },
    },
  ];
}
