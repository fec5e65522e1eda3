/** @file Packages of bench/peers, which are not the project's own: found from that folder, wherever this program lies. */
import { createRequire } from "node:module";
import { join } from "node:path";

/** Loads packages of a folder and tells their versions. */
export interface PeerPackages {
  readonly load: <T>(name: string) => T;
  readonly version: (name: string) => string;
}

/** The packages that are installed in a folder. */
export function peerPackages(folder: string): PeerPackages {
  const require = createRequire(join(folder, "package.json"));
  return {
    load: <T>(name: string) => require(name) as T,
    version: (name) =>
      (require(join(folder, "node_modules", name, "package.json")) as { readonly version: string }).version,
  };
}
