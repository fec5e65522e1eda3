/** @file The browser of these tests: scripts/browser.mjs finds it. */

/** The program. */
export const chromium: string = process.env["QKLAB_CHROMIUM"] ?? "/usr/bin/chromium";

/** It starts as any user, draws nothing and asks nobody on the network for anything. */
export const flags: string[] = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The headers with which a page may share memory between threads. */
export const isolation: Record<string, string> = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};
