import { fileURLToPath } from "node:url";
import { defineConfig, type ViteUserConfigFnObject } from "vitest/config";

const source = (path: string): string => fileURLToPath(new URL(`src/${path}`, import.meta.url));

/** Tests of a whole process, its memory or its threads: each has a process of its own, as others share two. */
const wholeProcess = [
  "src/{autodiff,train}/memory.test.ts",
  "src/models/decoding-memory.test.ts",
  "src/kernels/jax/threads.node.test.ts",
];

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
        find: /^qklab\/(models|tasks|train|checkpoints|language|text|generation)$/,
        replacement: source("$1/index.ts"),
      },
    ],
  },
  test: {
    ...(mode === "long"
      ? { include: ["{src,test}/**/*.long.test.ts"] }
      : {
          projects: [
            {
              extends: true,
              test: {
                name: "shared",
                isolate: false,
                include: ["{src,test}/**/*.test.ts"],
                exclude: ["**/*.long.test.ts", ...wholeProcess],
              },
            },
            { extends: true, test: { name: "whole process", include: wholeProcess } },
          ],
        }),
    setupFiles: mode === "test" ? ["test/property-seed.ts"] : [],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: mode === "long" ? 1_800_000 : 60_000,
    hookTimeout: 60_000,
  },
}));

export default config;
