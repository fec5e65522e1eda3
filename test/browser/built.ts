/** @file The built library in Chromium as its users load it: from plain files by an import map, and bundled and minified. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium as launcher } from "playwright";
import { build } from "tsdown";
import { afterAll, beforeAll, expect, test } from "vitest";
import { attention, causal, l2, type Tensor, tensor } from "../../src/index.ts";
import { expectClose } from "../contract/comparison.ts";
import { wasmPromises } from "../contract/wasm-promises.ts";
import { root } from "../docs/blocks.ts";
import { chromium, flags, isolation } from "./chromium.ts";
import { type Pages, servePages } from "./serve-pages.ts";

const shape = [1, 2, 70, 8];
const numbers = (phase: number): number[] =>
  Array.from({ length: 2 * 70 * 8 }, (_, i) => Math.sin(i + phase));

/** What a user may write. It prints what the test compares. */
const program = `
import { attention, causal, l2, tensor } from "qklab";
import { openEngine, wasmBackend } from "qklab/wasm";
const shape = ${JSON.stringify(shape)};
const numbers = (phase) => Array.from({ length: 2 * 70 * 8 }, (_, i) => Math.sin(i + phase));
const engine = await openEngine({ threads: 2 });
const attend = attention({ similarity: l2(), pattern: causal() }, { backend: wasmBackend(engine) });
const { out } = await attend(...[1, 2, 3].map((phase) => tensor(numbers(phase), shape)));
const { threads, shared, limitation } = engine;
console.log(JSON.stringify({ threads, shared, limitation, out: [...out.data] }));
engine.close();
`;

const imports = { qklab: "/dist/index.js", "qklab/wasm": "/dist/wasm.js" };
const html = (script: string): string =>
  `<!doctype html><script type="importmap" nonce="map">${JSON.stringify({ imports })}</script>` +
  `<script type="module" src="${script}"></script>`;

/** A page that runs what it is sent from its own server, and no workers from texts. */
const strict = {
  ...isolation,
  "Content-Security-Policy": "default-src 'self'; script-src 'self' 'nonce-map' 'wasm-unsafe-eval'",
};

let browser: Browser;
let bundle: string;
beforeAll(async () => {
  browser = await launcher.launch({ executablePath: chromium, args: flags });
  bundle = mkdtempSync(join(tmpdir(), "qklab-bundle-"));
  writeFileSync(join(bundle, "package.json"), JSON.stringify({ type: "module" }));
  writeFileSync(join(bundle, "program.js"), program);
  await build({
    config: false,
    cwd: bundle,
    entry: "program.js",
    outDir: "out",
    platform: "browser",
    minify: true,
    dts: false,
    logLevel: "error",
    alias: { "qklab/wasm": join(root, "dist/wasm.js"), qklab: join(root, "dist/index.js") },
    outputOptions: { keepNames: true },
  });
});
afterAll(async () => {
  await browser.close();
  rmSync(bundle, { recursive: true, force: true });
});

interface Printed {
  readonly threads: number;
  readonly shared: boolean;
  readonly limitation?: string;
  readonly out: readonly number[];
}

/** What the program prints in a page, and the paths that the page asked for. */
async function run(
  page: string,
  headers: Pages["headers"],
): Promise<{ readonly printed: Printed; readonly paths: readonly string[] }> {
  const server = await servePages({
    headers,
    texts: {
      "/index.html": html("/program.js"),
      "/program.js": program,
      "/bundle.html": html("/bundle/program.js"),
    },
    folders: { dist: join(root, "dist"), bundle: join(bundle, "out") },
  });
  const tab = await browser.newPage();
  try {
    const paths: string[] = [];
    tab.on("request", (request) => paths.push(new URL(request.url()).pathname));
    const printed = new Promise<Printed>((resolve, reject) => {
      tab.on("pageerror", reject);
      tab.on("response", (response) => {
        // Browsers ask for an icon that nobody serves.
        if (response.ok() || response.url().endsWith(".ico")) return;
        reject(new Error(`${response.url()}: ${response.status()}`));
      });
      tab.on("console", (message) => {
        if (message.type() === "log") resolve(JSON.parse(message.text()) as Printed);
      });
    });
    await tab.goto(`${server.address}${page}`);
    return { printed: await printed, paths };
  } finally {
    await tab.close();
    server.close();
  }
}

async function expected(): Promise<Tensor> {
  const attend = attention({ similarity: l2(), pattern: causal() });
  const [q, k, v] = [1, 2, 3].map((phase) => tensor(numbers(phase), shape));
  return (await attend(q, k, v)).out;
}

const cases = [
  { name: "an isolated page", page: "/index.html", headers: isolation, threads: 2, limitation: undefined },
  {
    name: "a page that is not isolated",
    page: "/index.html",
    headers: {},
    threads: 1,
    limitation: /not cross-origin isolated/,
  },
  {
    name: "a page whose policy forbids workers from texts",
    page: "/index.html",
    headers: strict,
    threads: 1,
    limitation: /a worker (is gone|could not be started)/,
  },
  {
    name: "an isolated page with a minified bundle",
    page: "/bundle.html",
    headers: isolation,
    threads: 2,
    limitation: undefined,
  },
];

test.each(cases)("$name attends on $threads thread(s)", async ({ page, headers, threads, limitation }) => {
  const { printed, paths } = await run(page, headers);
  expectClose("out", tensor([...printed.out], shape), await expected(), wasmPromises.tolerances.forward);
  expect(printed.threads).toBe(threads);
  expect(printed.shared).toBe(threads > 1);
  if (limitation === undefined) expect(printed.limitation).toBeUndefined();
  else expect(printed.limitation).toMatch(limitation);
  expect(paths.filter((path) => path.includes(".node"))).toEqual([]);
});
