import { defineConfig, type UserConfig } from "tsdown";

/** One entry per subpath of `exports` in package.json, and the command line. */
const config: UserConfig = defineConfig({
  entry: {
    index: "src/index.ts",
    jax: "src/jax.ts",
    wasm: "src/wasm.ts",
    models: "src/models/index.ts",
    tasks: "src/tasks/index.ts",
    train: "src/train/index.ts",
    checkpoints: "src/checkpoints/index.ts",
    language: "src/language/index.ts",
    text: "src/text/index.ts",
    generation: "src/generation/index.ts",
    cli: "src/cli/main.ts",
    "run-process": "src/train/run-process.node.ts",
  },
  format: "esm",
  target: "es2022",
  // The library runs unchanged in browsers: nothing of Node is assumed, what names it stays an import.
  platform: "neutral",
  deps: { neverBundle: /^node:/, skipNodeModulesBundle: true },
  dts: true,
  fixedExtension: false,
  failOnWarn: true,
});

export default config;
