import { fileURLToPath } from "node:url";
import { defineConfig, type ViteUserConfigFnObject } from "vitest/config";

const source = (path: string): string => fileURLToPath(new URL(`src/${path}`, import.meta.url));

/**
 * `vitest run` is everything quick, `--mode random` the same with other random cases every time, `--mode long` the
 * `*.long.test.ts` files alone.
 */
const config: ViteUserConfigFnObject = defineConfig(({ mode }) => ({
  resolve: {
    alias: [
      { find: /^qklab$/, replacement: source("index.ts") },
      { find: /^qklab\/jax$/, replacement: source("jax.ts") },
      { find: /^qklab\/wasm$/, replacement: source("wasm.ts") },
      {
        find: /^qklab\/(models|tasks|train|checkpoints|text|generation)$/,
        replacement: source("$1/index.ts"),
      },
    ],
  },
  test: {
    include: mode === "long" ? ["{src,test}/**/*.long.test.ts"] : ["{src,test}/**/*.test.ts"],
    exclude: mode === "long" ? [] : ["**/*.long.test.ts"],
    setupFiles: mode === "test" ? ["test/property-seed.ts"] : [],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: mode === "long" ? 1_800_000 : 60_000,
    hookTimeout: 60_000,
  },
}));

export default config;
