/** @file What the code of a feature map depends on, and how rows x [N, D] and their features φ(x) [N, F] lie in memory. */
import { type FeatureMapName } from "../../../recurrence/feature-map.ts";
import { hashOfText } from "../assembler/describe-module.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { type BlockShape } from "../dense/dense-call.ts";
import { type HeadLayout } from "../dense/head-blocks.ts";

/** Maps that have code; the identity needs none. */
export type ComputedMap = Exclude<FeatureMapName, "identity">;

/** Everything that the code depends on. */
export interface FeatureMapSpec {
  readonly map: ComputedMap;
  /** D */
  readonly width: number;
  readonly relaxed: boolean;
  readonly shared: boolean;
}

/** What names the code of a spec. */
export const featureMapHash = ({ map, width, relaxed, shared }: FeatureMapSpec): string =>
  hashOfText(["feature map", map, width, relaxed, shared].join());

/** The first line of the code. */
export const featureMapHeader = (spec: FeatureMapSpec): string =>
  `kernel ${featureMapHash(spec)}: feature map ${spec.map}; D = ${spec.width}`;

/** F of D. */
export const featureCount = (map: ComputedMap, width: number): number =>
  ({ elu1: width, relu: width, taylor2: 1 + width + width ** 2, hedgehog: 2 * width })[map];

/** Numbers of a row x as the kernels see it. */
export const rowFloats = (width: number): number => roundUp(width, 8);

/** Numbers of a row as the kernels see them, in multiples of 8: of x, and of φ(x). */
export function mapLayout({ map, width }: Pick<FeatureMapSpec, "map" | "width">): Omit<HeadLayout, "heads"> {
  const padded = rowFloats(width);
  const features = {
    elu1: padded,
    relu: padded,
    // Vectors that begin within the features may end three numbers behind them.
    taylor2: roundUp(featureCount("taylor2", width) + 3, 8),
    hedgehog: 2 * padded,
  };
  return { width: padded, headWidth: features[map] };
}

/** A block of rows as tensors hold it, and as the kernels do. */
export interface Blocks {
  readonly own: BlockShape;
  readonly padded: BlockShape;
}

/** Rows x, and their features, of one head of so many tokens. */
export function mapBlocks(
  spec: Pick<FeatureMapSpec, "map" | "width">,
  tokens: number,
): { readonly x: Blocks; readonly features: Blocks } {
  const { map, width } = spec;
  const layout = mapLayout(spec);
  const rows = roundUp(tokens, 4);
  // Halves of a row are padded apart, as if each were a row.
  const parts = map === "hedgehog" ? 2 : 1;
  return {
    x: { own: { rows: tokens, width }, padded: { rows, width: layout.width } },
    features: {
      own: { rows: parts * tokens, width: featureCount(map, width) / parts },
      padded: { rows: parts * rows, width: layout.headWidth / parts },
    },
  };
}
