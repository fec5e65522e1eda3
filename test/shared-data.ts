/** @file Where tests find the data that travels beside the repository (`../shared/data`), and the visible skip when it is absent. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, test } from "vitest";

const root = new URL("../../shared/data/", import.meta.url);

/**
 * The absolute path of a file or folder of the shared data, or nothing when it is not there.
 *
 * @param path - its parts below the data folder
 */
export function sharedData(...path: readonly string[]): string | undefined {
  const place = fileURLToPath(new URL(path.map(encodeURIComponent).join("/"), root));
  return existsSync(place) ? place : undefined;
}

/**
 * A `describe` that needs a file of the shared data: the body gets its absolute path, and where it is absent the
 * report shows one skipped test that names the reason.
 *
 * @param name - what is described
 * @param path - the file or folder below the data folder, with forward slashes
 * @param body - registers the tests
 */
export function describeWithSharedData(name: string, path: string, body: (place: string) => void): void {
  const place = sharedData(...path.split("/"));
  if (place !== undefined) {
    describe(name, () => body(place));
    return;
  }
  describe(name, () => {
    test.skip(`skipped as ../shared/data/${path} is absent`, () => undefined);
  });
}
