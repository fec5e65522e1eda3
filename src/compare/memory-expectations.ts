/** @file What the field knows of memories of fixed size: what is added up must be forgotten, what is corrected need not. */
import {
  cellsWhere,
  type Evidence,
  evidenceOf,
  type Expectation,
  type Finding,
  type MeasuredCell,
  nameOf,
  notMeasured,
} from "./expectation.ts";
import { formatBytes } from "./format.ts";
import { columnOf, type ComparisonResults } from "./results.ts";
import { standing } from "./spread.ts";

/** Rules that subtract from the state what it has for a key before they add a value. */
const correcting = new Set(["deltanet", "gated-deltanet", "rwkv7"]);
/** States that are sums of products of keys and values, whole or fading. */
const adding = new Set(["linear", "performer", "retnet", "gla", "rwkv5", "rwkv6"]);

const isAdding = (selector: string): boolean =>
  adding.has(nameOf(selector)) || /^dot\b(?!-).*\+none$/.test(selector);

const tasks = ["recall", "recall-tokens"] as const;

/** The claims about memories, in the order of reports. */
export const memoryExpectations: readonly Expectation[] = [
  {
    id: "delta-rule-recalls",
    claim: {
      en: "the delta rule recalls more than a sum of products that keeps as many bytes or more",
      zh: "在状态字节数不更少的情况下，累加式状态的回忆仍不如 delta 规则",
    },
    source: "Schlag et al. 2021, Yang et al. 2024",
    test: deltaAgainstSums,
  },
];

/** Every delta rule against the best sum in its column whose state is no smaller. */
function deltaAgainstSums(results: ComparisonResults): Finding {
  const pairs = tasks.flatMap((task) => {
    const sums = cellsWhere(results, task, isAdding);
    return cellsWhere(results, task, (selector) => correcting.has(nameOf(selector))).flatMap((delta) => {
      const rivals = sums.filter(
        (sum) => sum.column === delta.column && bytesOf(sum) >= bytesOf(delta) && bytesOf(delta) > 0,
      );
      if (rivals.length === 0) return [];
      return [
        { delta, sum: rivals.reduce((best, sum) => (sum.spread.mean > best.spread.mean ? sum : best)) },
      ];
    });
  });
  if (pairs.length === 0) return notMeasured("recall: deltanet, dot+none");
  const standings = new Set(
    pairs.map(({ delta, sum }) =>
      standing(delta.spread, sum.spread, columnOf(results.plan, delta).metric.better),
    ),
  );
  const isWrong = standings.has("worse") || standings.has("tie");
  return {
    status: isWrong ? "does not hold" : standings.has("unknown") ? "undecided" : "holds",
    reason: {
      en: "each against the best sum of its column with as many bytes, by more than the spread; one seed has none",
      zh: "各自与同列中字节数不更少的最佳累加式状态比较，差异须超出离散程度；单个种子没有离散程度",
    },
    evidence: pairs.flatMap(({ delta, sum }) => [withBytes(delta), withBytes(sum)]),
  };
}

const bytesOf = ({ measured }: MeasuredCell): number => measured["stateBytes"]?.mean ?? 0;

/** A cell with the bytes that it keeps. */
export function withBytes(cell: MeasuredCell): Evidence {
  const { label, value } = evidenceOf(cell);
  const bytes = bytesOf(cell);
  return { label, value: bytes === 0 ? value : `${value}, ${formatBytes(bytes)}` };
}
