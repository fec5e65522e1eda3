import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fetchModel, type FetchModelOptions, type FetchProgress } from "./fetch-model.node.ts";
import { etagOf, type Fault, type HubServer, serveHub, type ServedFile } from "./hub-server-fixture.node.ts";

const repository = "lab/tiny";
const text = (content: string): ServedFile => ({ bytes: new TextEncoder().encode(content) });
const large: ServedFile = {
  bytes: Uint8Array.from({ length: 5000 }, (_, place) => (place * 7919) % 251),
  isLarge: true,
};
const files: Record<string, ServedFile> = {
  "config.json": text('{"model_type":"llama"}'),
  "tokenizer.json": text("{}"),
  "README.md": text("not needed"),
  "onnx/model.onnx": text("not needed"),
  "pytorch_model.bin": text("not needed"),
  "model.safetensors": large,
};
const needed = ["config.json", "model.safetensors", "tokenizer.json"];

let home: string;
let hub: HubServer;
const opened: HubServer[] = [];
const pauses: number[] = [];

async function open(...options: Parameters<typeof serveHub>): Promise<HubServer> {
  hub = await serveHub(...options);
  opened.push(hub);
  return hub;
}

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "qklab-hub-"));
  pauses.length = 0;
  await open(repository, files);
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((server) => server.close()));
  await rm(home, { recursive: true, force: true });
});

const fetchHere = (
  environment: Record<string, string> = {},
  options: FetchModelOptions = {},
  name: string = `hf:${repository}`,
): ReturnType<typeof fetchModel> =>
  fetchModel(name, {
    environment: { HF_ENDPOINT: hub.endpoint, HF_HOME: home, ...environment },
    silenceMs: 10_000,
    onProgress: ({ receivedBytes }) => hub.cut(receivedBytes),
    pause: (timeMs) => {
      pauses.push(timeMs);
      return Promise.resolve();
    },
    ...options,
  });

const model = (...path: readonly string[]): string => join(home, "hub", "models--lab--tiny", ...path);
const blob = (path: string, ending: string = ""): string => model("blobs", etagOf(files[path]) + ending);
const weightsCame = async (folder: string): Promise<void> =>
  expect(new Uint8Array(await readFile(join(folder, "model.safetensors")))).toEqual(large.bytes);

describe("the layout of huggingface_hub", () => {
  test("only what is needed comes, once, as links to blobs named by their hash", async () => {
    const events: FetchProgress[] = [];
    const found = await fetchHere({}, { onProgress: (event) => events.push(event) });
    expect(found).toEqual({ folder: model("snapshots", hub.commit), commit: hub.commit, files: needed });
    expect((await readdir(found.folder)).sort()).toEqual(needed);
    expect(await readlink(join(found.folder, "config.json"))).toBe(
      join("..", "..", "blobs", etagOf(files["config.json"])),
    );
    await weightsCame(found.folder);
    expect(await readFile(model("refs", "main"), "utf8")).toBe(hub.commit);
    expect((await readdir(model("blobs"))).sort()).toEqual(needed.map((path) => etagOf(files[path])).sort());
    expect(await readdir(join(home, "hub", ".locks", "models--lab--tiny"))).toEqual([]);
    // The weights come last, so that a folder with weights is whole.
    expect(events.at(-1)).toEqual({
      file: "model.safetensors",
      fileNumber: 3,
      files: 3,
      receivedBytes: 5000,
      totalBytes: 5000,
      isWaiting: false,
    });

    const before = hub.asked.length;
    await fetchHere();
    expect(hub.asked.slice(before).map(({ path }) => path)).toEqual([
      `/api/models/${repository}/revision/main`,
    ]);
    // A commit never changes: nobody is asked.
    expect(await fetchHere({}, {}, `hf:${repository}@${hub.commit}`)).toEqual(found);
    expect(hub.asked).toHaveLength(before + 1);
  });

  test("HF_HUB_CACHE goes before HF_HOME, and a revision may have slashes", async () => {
    const cache = join(home, "elsewhere");
    const { folder } = await fetchHere({ HF_HUB_CACHE: cache }, {}, `hf:${repository}@refs/pr/1`);
    expect(folder.startsWith(cache)).toBe(true);
    expect(await readFile(join(cache, "models--lab--tiny", "refs", "refs", "pr", "1"), "utf8")).toBe(
      hub.commit,
    );
  });

  test("what another program has put into the cache is used", async () => {
    await mkdir(model("blobs"), { recursive: true });
    await writeFile(blob("model.safetensors"), large.bytes);
    await weightsCame((await fetchHere()).folder);
    expect(hub.askedFor("/blobs/")).toEqual([]);
  });

  test("one's own choice of files, folders included", async () => {
    const { folder, files: came } = await fetchHere({}, { wanted: (path) => path.endsWith(".onnx") });
    expect(came).toEqual(["onnx/model.onnx"]);
    expect(await readFile(join(folder, "onnx", "model.onnx"), "utf8")).toBe("not needed");
    expect(await readlink(join(folder, "onnx", "model.onnx"))).toContain(join("..", "..", "..", "blobs"));
  });

  test("the shards that an index names are fetched after it", async () => {
    const shard = (which: number): ServedFile => ({ bytes: Uint8Array.of(which, 2, 3), isLarge: true });
    const map = {
      a: "model-1-of-2.safetensors",
      b: "model-2-of-2.safetensors",
      c: "model-1-of-2.safetensors",
    };
    const sharded = {
      "model.safetensors.index.json": text(JSON.stringify({ weight_map: map })),
      "model-1-of-2.safetensors": shard(1),
      "model-2-of-2.safetensors": shard(2),
      "consolidated.safetensors": shard(3),
    };
    await open(repository, sharded);
    expect((await fetchHere()).files).toEqual(
      Object.keys(sharded)
        .filter((path) => path !== "consolidated.safetensors")
        .sort(),
    );
    await rm(model("snapshots", hub.commit, "model-2-of-2.safetensors"));
    await expect(fetchHere({ HF_HUB_OFFLINE: "1" })).rejects.toMatchObject({
      code: "hub-offline",
      message: expect.stringContaining("model-2-of-2.safetensors missing") as unknown,
    });
  });
});

describe("a broken download", () => {
  test("is gone on with where it was cut, also by a later run, and tries that get somewhere do not count", async () => {
    hub.fail("GET store", ...[700, 700, 700, 700, 700, 700].map((cutAfter): Fault => ({ cutAfter })));
    await weightsCame((await fetchHere()).folder);
    const ranges = hub.asked.filter(({ host }) => host === "store").map(({ range }) => range);
    expect(ranges).toEqual([undefined, ...[1, 2, 3, 4, 5, 6].map((part) => `bytes=${part * 700}-`)]);
    expect(await readdir(model("blobs"))).not.toContain(`${etagOf(large)}.incomplete`);
  });

  test("keeps what came when nothing helps, for the next run", async () => {
    hub.fail("GET store", { cutAfter: 1200 }, ...Array.from({ length: 5 }, (): Fault => ({ status: 503 })));
    await expect(fetchHere()).rejects.toMatchObject({ code: "hub-unreachable" });
    expect((await stat(blob("model.safetensors", ".incomplete"))).size).toBe(1200);
    await expect(stat(model("snapshots", hub.commit, "model.safetensors"))).rejects.toThrow("ENOENT");
    await weightsCame((await fetchHere()).folder);
    expect(hub.asked.at(-1)?.range).toBe("bytes=1200-");
  });

  test.each<{ name: string; left: Uint8Array; fault?: Fault }>([
    { name: "other bytes", left: new Uint8Array(900) },
    { name: "more bytes than the file has", left: new Uint8Array(6000) },
    { name: "as many bytes, but others", left: new Uint8Array(5000) },
    { name: "all its bytes", left: large.bytes },
    {
      name: "its first bytes, where the server has no ranges",
      left: large.bytes.slice(0, 10),
      fault: { ignoresRange: true },
    },
    {
      name: "its first bytes, where the server refuses the range",
      left: large.bytes.slice(0, 10),
      fault: { status: 416 },
    },
    {
      name: "its first bytes, where another range comes",
      left: large.bytes.slice(0, 10),
      fault: { status: 206, headers: { "content-range": "bytes 0-4999/5000" } },
    },
  ])("left as $name ends as the file", async ({ left, fault }) => {
    await mkdir(model("blobs"), { recursive: true });
    await writeFile(blob("model.safetensors", ".incomplete"), left);
    if (fault !== undefined) hub.fail("GET store", fault);
    await weightsCame((await fetchHere()).folder);
  });

  test.each<{ name: string; part: string; file: string }>([
    { name: "SHA-256", part: "GET store", file: "model.safetensors" },
    { name: "git's SHA-1", part: `GET hub/${repository}/resolve`, file: "config.json" },
  ])("whose bytes have another $name is not kept", async ({ part, file }) => {
    hub.fail(part, { bytes: new Uint8Array(files[file].bytes.length) });
    await expect(fetchHere()).rejects.toMatchObject({
      code: "hub-corrupt",
      message: expect.stringContaining(file) as unknown,
    });
    await expect(stat(blob(file))).rejects.toThrow("ENOENT");
    await expect(stat(blob(file, ".incomplete"))).rejects.toThrow("ENOENT");
  });

  test("more bytes than were named are refused", async () => {
    hub.fail("GET store", { bytes: new Uint8Array(5001) });
    await expect(fetchHere()).rejects.toMatchObject({ code: "hub-protocol" });
  });

  test("a signal ends it with its reason, and what came is kept", async () => {
    const controller = new AbortController();
    hub.fail("GET store", { cutAfter: 100 });
    const run = fetchHere(
      {},
      {
        signal: controller.signal,
        onProgress: ({ receivedBytes }) => {
          if (receivedBytes === 100) controller.abort(new Error("enough"));
        },
      },
    );
    await expect(run).rejects.toThrow("enough");
    expect((await stat(blob("model.safetensors", ".incomplete"))).size).toBe(100);
    expect(await readdir(join(home, "hub", ".locks", "models--lab--tiny"))).toEqual([]);
  });
});

describe("answers that are none", () => {
  test.each<{ name: string; fault: Fault; waits: number[] }>([
    { name: "503", fault: { status: 503 }, waits: [500] },
    { name: "429 with seconds", fault: { status: 429, headers: { "retry-after": "7" } }, waits: [7000] },
    {
      name: "429 with a date gone by",
      fault: { status: 429, headers: { "retry-after": "Thu, 01 Jan 2015 00:00:00 GMT" } },
      waits: [0],
    },
    { name: "a connection that ends", fault: { cutAfter: 3 }, waits: [500] },
    { name: "silence", fault: { isSilent: true }, waits: [500] },
  ])("$name is tried again", async ({ fault, waits }) => {
    hub.fail("GET hub/lab/tiny/resolve", fault);
    await fetchHere({}, fault.isSilent === true ? { silenceMs: 500 } : {});
    // A busy machine may be silent of its own.
    expect(pauses.slice(0, 1)).toEqual(waits);
  });

  test("the pauses grow, and after five tries it is told", async () => {
    hub.fail("GET hub/api", ...Array.from({ length: 9 }, (): Fault => ({ status: 500 })));
    await expect(fetchHere()).rejects.toMatchObject({
      code: "hub-unreachable",
      message: "Cannot fetch hf:lab/tiny as the hub must answer: status 500. Try again later",
    });
    expect(pauses).toEqual([500, 1000, 2000, 4000]);
  });

  test("a hub that wants more patience than two minutes is told at once", async () => {
    hub.fail("GET hub/api", { status: 429, headers: { "retry-after": "3600" } });
    await expect(fetchHere()).rejects.toMatchObject({ code: "hub-unreachable" });
    expect(pauses).toEqual([]);
  });

  const gated = { "x-error-code": "GatedRepo" };
  test.each<{ name: string; fault?: Fault; text?: string; code: string; says: string }>([
    {
      name: "no such model",
      text: "hf:lab/other",
      code: "hub-missing",
      says: "Cannot fetch hf:lab/other as it must exist: status 404, RepoNotFound. ",
    },
    {
      name: "no such revision",
      text: "hf:lab/tiny@v9",
      code: "hub-missing",
      says: "must have the revision v9",
    },
    { name: "a private model", fault: { status: 401 }, code: "hub-denied", says: "set HF_TOKEN" },
    {
      name: "a gated model",
      fault: { status: 403, headers: gated },
      code: "hub-denied",
      says: "granted you access",
    },
    { name: "a strange status", fault: { status: 418 }, code: "hub-protocol", says: "status 418" },
    {
      name: "a page instead of a list",
      fault: { bytes: new Uint8Array(0), status: 200 },
      code: "hub-protocol",
      says: "must list its commit",
    },
    {
      name: "redirects in a circle",
      fault: { status: 302, headers: { location: "/api/models/lab/tiny/revision/main" } },
      code: "hub-protocol",
      says: "redirects",
    },
  ])("$name is one clear error, at once", async ({ fault, text, code, says }) => {
    if (fault !== undefined) hub.fail("GET hub/api", ...Array.from({ length: 11 }, () => fault));
    await expect(fetchHere({}, {}, text)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(says) as unknown,
    });
    expect(pauses).toEqual([]);
    await expect(stat(join(home, "hub"))).rejects.toThrow("ENOENT");
  });

  test.each([
    { name: "an etag that is a path", headers: { etag: '"../../x"', "content-length": "5" } },
    { name: "no etag", headers: { "content-length": "5" } },
    { name: "no length", headers: { etag: '"x"', "transfer-encoding": "chunked" } },
    {
      name: "the file of another commit",
      headers: { etag: '"x"', "content-length": "5", "x-repo-commit": "0".repeat(40) },
    },
  ])("$name is refused", async ({ headers }) => {
    hub.fail("HEAD hub", { status: 200, headers });
    await expect(fetchHere()).rejects.toMatchObject({ code: "hub-protocol" });
  });

  test("a hub that is not there is an error that says so", async () => {
    const { endpoint } = hub;
    await hub.close();
    await expect(fetchHere({ HF_ENDPOINT: endpoint })).rejects.toMatchObject({
      code: "hub-unreachable",
      message: expect.stringContaining("ECONNREFUSED") as unknown,
    });
  });
});

describe("models that cannot be used", () => {
  test.each<{
    name: string;
    served: Record<string, ServedFile>;
    siblings?: string[];
    code: string;
    wanted?: (path: string) => boolean;
  }>([
    {
      name: "without safetensors",
      served: { "config.json": text("{}"), "pytorch_model.bin": text("x") },
      code: "hub-no-weights",
    },
    {
      name: "whose index leads out of the folder",
      served: { "model.safetensors.index.json": text('{"weight_map":{"a":"../x.safetensors"}}') },
      code: "hub-index",
    },
    {
      name: "whose index is no JSON",
      served: { "model.safetensors.index.json": text("<html>") },
      code: "hub-index",
    },
    {
      name: "whose index names what is not there",
      served: { "model.safetensors.index.json": text('{"weight_map":{"a":"x.safetensors"}}') },
      code: "hub-index",
    },
    {
      name: "with a file outside",
      served: {},
      siblings: ["../../outside"],
      wanted: () => true,
      code: "hub-protocol",
    },
  ])("$name", async ({ served, siblings = [], code, wanted }) => {
    await open(repository, served, { siblings });
    await expect(fetchHere({}, wanted === undefined ? {} : { wanted })).rejects.toMatchObject({ code });
  });
});

describe("the token", () => {
  test.each<{ name: string; environment: Record<string, string>; file?: string }>([
    { name: "of the environment", environment: { HF_TOKEN: "hf_secret\n" } },
    { name: "of the file that logging in leaves", environment: {}, file: "hf_secret\n" },
  ])("$name is shown to the hub and to nobody else", async ({ environment, file }) => {
    await open(repository, files, { token: "hf_secret" });
    if (file !== undefined) await writeFile(join(home, "token"), file);
    await weightsCame((await fetchHere(environment)).folder);
    const shown = (host: string): Set<unknown> =>
      new Set(hub.asked.filter((request) => request.host === host).map(({ token }) => token));
    expect(shown("hub")).toEqual(new Set(["Bearer hf_secret"]));
    expect(shown("store")).toEqual(new Set([undefined]));
  });
});

describe("without the hub", () => {
  test("HF_HUB_OFFLINE uses the cache and asks nobody", async () => {
    const online = await fetchHere();
    const before = hub.asked.length;
    expect(await fetchHere({ HF_HUB_OFFLINE: "1" })).toEqual(online);
    expect(hub.asked).toHaveLength(before);
  });

  test.each([
    { name: "nothing", prepare: () => Promise.resolve(), says: "every file missing" },
    {
      name: "a model whose weights are half there",
      prepare: async () => {
        hub.fail("GET store", { cutAfter: 10 }, ...Array.from({ length: 5 }, (): Fault => ({ status: 503 })));
        await fetchHere().catch(() => undefined);
        await mkdir(model("refs"), { recursive: true });
        await writeFile(model("refs", "main"), hub.commit);
      },
      says: "its weights missing",
    },
    {
      name: "a link that leads nowhere",
      prepare: async () => {
        const { folder } = await fetchHere();
        await rm(join(folder, "model.safetensors"));
        await symlink("../../blobs/none", join(folder, "model.safetensors"));
      },
      says: "its weights missing",
    },
  ])("offline with $name in the cache is one clear error", async ({ prepare, says }) => {
    await prepare();
    await expect(fetchHere({ HF_HUB_OFFLINE: "1" })).rejects.toMatchObject({
      code: "hub-offline",
      message: expect.stringContaining(says) as unknown,
    });
  });

  test("a hub that does not answer leaves the cache, and it is said; a hub that refuses does not", async () => {
    const online = await fetchHere();
    hub.fail("GET hub/api", ...Array.from({ length: 5 }, (): Fault => ({ status: 502 })));
    expect(await fetchHere()).toEqual({
      ...online,
      unreachable: expect.stringContaining("status 502") as unknown,
    });
    hub.fail("GET hub/api", { status: 401 });
    await expect(fetchHere()).rejects.toMatchObject({ code: "hub-denied" });
  });
});

describe("two at a time", () => {
  test("fetch each file once, and both have it", async () => {
    const [one, other] = await Promise.all([fetchHere(), fetchHere()]);
    expect(one).toEqual(other);
    await weightsCame(one.folder);
    expect(hub.askedFor("/blobs/")).toEqual(["GET store"]);
  });

  test("a lock that a killed process left is taken over", async () => {
    const locks = join(home, "hub", ".locks", "models--lab--tiny");
    await mkdir(locks, { recursive: true });
    const lock = join(locks, `${etagOf(large)}.qklab.lock`);
    await writeFile(lock, JSON.stringify({ pid: process.pid, host: hostname(), started: "1" }));
    await weightsCame((await fetchHere()).folder);
    expect(await readdir(locks)).toEqual([]);
  });
});

test.each([
  "hf:",
  "hf:a/b/c",
  "hf:../x",
  "hf:a--b/c",
  "hf:a/b@",
  "hf:a/b@../x",
  "hf:a b/c",
  "hf:a/.b",
  `hf:a/${"b".repeat(95)}`,
])("%j is no name", async (name) => {
  await expect(fetchHere({}, {}, name)).rejects.toMatchObject({ code: "hub-name" });
  expect(hub.asked).toEqual([]);
});

test.each(["huggingface.co", "ftp://x", "http://user:secret@x", "http://x?y"])(
  "HF_ENDPOINT %j is refused",
  async (endpoint) => {
    await expect(fetchHere({ HF_ENDPOINT: endpoint })).rejects.toMatchObject({ code: "hub-endpoint" });
  },
);
