/** @file Files of the npm packages that hold data: optional ones, so their absence is an error that says how to get them. */
import { accessSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { MissingError } from "./errors.ts";

/**
 * The path of a file or folder of a package that is installed where qklab is.
 *
 * @param version - the one that the project's numbers were made with
 * @param path - inside the package, with forward slashes
 * @throws MissingError `package-missing`
 */
export function packageFile(name: string, version: string, path: string): string {
  return finding(name, version, path, (place) => {
    accessSync(place);
    return place;
  });
}

/**
 * Reads a file of a package that is installed where qklab is.
 *
 * @throws MissingError `package-missing`
 */
export function readPackageFile(name: string, version: string, path: string): Buffer {
  return finding(name, version, path, (place) => readFileSync(place));
}

function finding<Value>(name: string, version: string, path: string, use: (place: string) => Value): Value {
  const { resolve } = createRequire(import.meta.url);
  try {
    return use(join(dirname(resolve(`${name}/package.json`)), path));
  } catch (cause) {
    throw new MissingError(
      "package-missing",
      `Cannot read ${path} as the package ${name} must be installed: ${firstLine(cause)}. ` +
        `Run: npm install ${name}@${version}`,
      { cause },
    );
  }
}

/** The first line of an error's message: module resolution appends all the places where it looked. */
export function firstLine(cause: unknown): string {
  return String(cause instanceof Error ? cause.message : cause).split("\n")[0];
}
