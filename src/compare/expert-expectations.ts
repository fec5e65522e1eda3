/** @file What the field knows of experts: parameters that most tokens never meet store what others would have to. */
import { cellsWhere, evidenceOf, type Expectation, notMeasured } from "./expectation.ts";
import { columnOf, type ComparisonResults } from "./results.ts";
import { standing } from "./spread.ts";

/** The claims about experts, in the order of reports. */
export const expertExpectations: readonly Expectation[] = [
  {
    id: "experts-store-facts",
    claim: {
      en: "experts, of which a token meets a few, store more facts than one feed-forward for all",
      zh: "每个词元只用到少数几个专家时，专家存储的事实仍多于所有词元共用的一个前馈网络",
    },
    source: "Shazeer et al. 2017",
    test: (results) => {
      const pairs = pairsOf(results);
      if (pairs.length === 0) return notMeasured("facts@experts=0, facts@experts=4");
      const standings = new Set(pairs.map(({ many, one }) => standing(many.spread, one.spread, many.better)));
      const isWrong = standings.has("worse") || standings.has("tie");
      return {
        status: isWrong ? "does not hold" : standings.has("unknown") ? "undecided" : "holds",
        reason: {
          en: "bits recovered, more by more than the spread; one seed has none",
          zh: "恢复的比特数须更多，且差异超出离散程度；单个种子没有离散程度",
        },
        evidence: pairs.flatMap(({ many, one }) => [evidenceOf(many), evidenceOf(one)]),
      };
    },
  },
];

type Cell = ReturnType<typeof cellsWhere>[number];

/** Cells with experts beside those without, of columns that agree in every other setting that differs. */
function pairsOf(results: ComparisonResults): { readonly many: Cell; readonly one: Cell }[] {
  const cells = cellsWhere(results, "facts", () => true);
  const settingsOf = (cell: Cell): Readonly<Record<string, unknown>> => columnOf(results.plan, cell).settings;
  const withExperts = cells.filter((cell) => Number(settingsOf(cell)["experts"]) > 0);
  return withExperts.flatMap((many) => {
    const { variant } = columnOf(results.plan, many);
    return cells
      .filter((one) => {
        const { experts, ...others } = settingsOf(one);
        const shared = Object.keys(variant).filter((name) => !ofExperts.has(name));
        return (
          experts === 0 &&
          one.selector === many.selector &&
          shared.every((name) => others[name] === settingsOf(many)[name])
        );
      })
      .map((one) => ({ many, one }));
  });
}

const ofExperts: ReadonlySet<string> = new Set([
  "experts",
  "routing",
  "choices",
  "capacityFactor",
  "router",
  "balance",
]);
