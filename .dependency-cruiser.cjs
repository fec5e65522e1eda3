/**
 * @file The direction of imports (`npm run direction`): the folders of src in order of processing, each of which may
 * import only what stands above it. Tests may look anywhere.
 */

/** Folders of one row are siblings and do not know each other. */
const layers = [
  ["base"],
  ["score"],
  ["spaces", "similarities", "positions", "patterns", "selections", "normalisers", "aggregations"],
  ["attention"],
  ["recurrence"],
  // Beside the algebra: token numbers go in, logits come out, whatever the model is.
  ["text"],
  ["generation"],
  ["kernels"],
  ["autodiff"],
  ["nn"],
  ["models"],
  // Before train, as runs are saved as safetensors; after models, as weights of other projects are read into them.
  ["checkpoints"],
  ["hub"],
  // Trained models: what checkpoints hold, as models.
  ["language"],
  ["tasks"],
  ["train"],
  ["compare"],
  // Trained models before and after; its report is drawn as that of comparisons.
  ["swap"],
  ["distil"],
  // A trained model for other programs, and its attentions.
  ["serve"],
  ["claims"],
  ["cli"],
];

const folders = (names) => `^src/(${names.join("|")})/`;
const test = "\\.test\\.ts$";

const backwards = layers.slice(0, -1).map((layer, rank) => ({
  name: `${layer.join("-")}-imports-backwards`,
  comment: `src/{${layer.join(",")}} may import only from the layers before it`,
  severity: "error",
  from: { path: folders(layer), pathNot: test },
  to: { path: [folders(layers.slice(rank + 1).flat()), "^src/[^/]+\\.ts$"] },
}));

const siblings = layers
  .filter((layer) => layer.length > 1)
  .map((layer) => ({
    name: "siblings-stay-apart",
    comment: "parts of an attention meet in src/attention, not in each other",
    severity: "error",
    from: { path: folders(layer), pathNot: test },
    to: { path: folders(layer), pathNot: "^src/$1/" },
  }));

module.exports = {
  forbidden: [
    ...backwards,
    ...siblings,
    {
      name: "known-folder",
      comment: "every folder of src has its place in the order of .dependency-cruiser.cjs",
      severity: "error",
      from: {},
      to: { path: "^src/[^/]+/", pathNot: folders(layers.flat()) },
    },
    {
      name: "no-circular",
      comment: "two files that import each other are one concept or three",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "node-only-where-node-is",
      comment: "src runs in browsers: Node's modules belong to src/cli and to files named *.node.ts",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/cli/", "\\.node\\.ts$", test] },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "node-files-stay-behind-the-command-line",
      comment: "a *.node.ts is imported by src/cli and by other *.node.ts, so that no subpath pulls Node in",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/cli/", "\\.node\\.ts$", test] },
      to: { path: "\\.node\\.ts$", dependencyTypesNot: ["dynamic-import"] },
    },
    {
      name: "the-algebra-stands-alone",
      comment: "before src/kernels there is no framework: every package import waits until then",
      severity: "error",
      from: { path: folders(layers.slice(0, 5).flat()), pathNot: test },
      to: { dependencyTypes: ["npm", "npm-optional", "npm-dev"] },
    },
    {
      name: "text-stands-alone",
      comment: "text and generation know no attention and no model: they import src/base and each other",
      severity: "error",
      from: { path: folders(["text", "generation"]), pathNot: test },
      to: { path: "^src/", pathNot: folders(["base", "text", "generation"]) },
    },
    {
      name: "ships-without-tools",
      comment: "what users install has no devDependencies",
      severity: "error",
      from: { path: "^src/", pathNot: test },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"] },
    },
    {
      name: "tests-are-not-imported",
      severity: "error",
      from: {},
      to: { path: test },
    },
    {
      name: "not-resolvable",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: "^(qklab|vitest|fast-check)" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
    },
  },
};
