/** @file The version of the package that runs, from its own package.json, wherever this file was bundled to. */
import { createRequire } from "node:module";

/** Such as `0.1.0`. */
export const version: string = (
  createRequire(import.meta.url)("qklab/package.json") as { readonly version: string }
).version;
