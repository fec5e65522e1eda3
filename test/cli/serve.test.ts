/** @file `qklab serve`: one server as a process, asked through sockets until it is told to stop, and what it refuses to begin. */
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exitCodeOf } from "../../src/cli/exit-codes.ts";
import { type ServeFlags } from "../../src/cli/serve/options.ts";
import { listenAt, readPlace } from "../../src/cli/serve/place.ts";
import { layModelAt } from "../laid-model.ts";
import { cli, cliJson, startCli, temporaryFolder, useBuiltCli } from "./run-cli.ts";

useBuiltCli();
const folder = temporaryFolder();
const model = await layModelAt(join(folder, "laid"));
const token = "a-secret";

/** The address that a server prints when it answers. */
function addressOf({ process: child }: ReturnType<typeof startCli>): Promise<string> {
  return new Promise((resolve, reject) => {
    child.stdout?.once("data", (text: string) => resolve(text.trim()));
    child.once("close", () => reject(new Error("the server ended before it listened")));
  });
}

/** How a request is sent. */
interface Asked {
  readonly method?: string;
  readonly body?: string;
  readonly signal?: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Answer {
  readonly choices: readonly [{ readonly text: string; readonly delta?: { readonly content?: string } }];
}

describe("a server", () => {
  const flags = ["--model", model, "--prompt", "h", "--no-chat", "--temperature", "0", "--threads", "1"];
  let server: ReturnType<typeof startCli>;
  let generated: Promise<{ readonly text: string }>;
  let address = "";
  beforeAll(async () => {
    const limits = ["--max-concurrent", "1", "--max-queue", "0", "--max-body", "500", "--grace", "200ms"];
    server = startCli(["serve", "--model", model, "--port", "0", "--threads", "1", ...limits], {
      environment: { QKLAB_TOKEN: token },
    });
    generated = cliJson(["generate", ...flags]);
    address = await addressOf(server);
  });
  afterAll(() => server.process.kill("SIGKILL"));

  const ask = (path: string, body?: unknown, init: Asked = {}): Promise<Response> =>
    fetch(address + path, {
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
      ...init,
      headers: { "content-type": "application/json", authorization: `Bearer ${token}`, ...init.headers },
    });
  const metric = async (name: string): Promise<number> => {
    const text = await (await ask("/metrics")).text();
    return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1]);
  };
  const until = async (holds: () => Promise<boolean>): Promise<void> => {
    while (!(await holds())) {
      await new Promise((resolve) => {
        setTimeout(resolve, 10);
      });
    }
  };
  const endless = { prompt: "x", max_tokens: 90_000, temperature: 0 };

  test("begins at a free port, says where, and what to ask first", async () => {
    expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    await server.seen(`Serving laid at ${address}`);
    await server.seen(`Next: curl -N ${address}/v1/chat/completions`);
    const health = await ask("/health", undefined, { headers: { authorization: "" } });
    expect(await health.json()).toEqual({ status: "ok", model: "laid", running: 0, waiting: 0 });
  });

  test("says what generate says, at once and as a stream", async () => {
    const { text } = await generated;
    expect(text).toBe("天你");
    const body = { prompt: "h", temperature: 0 };
    const { choices } = (await (await ask("/v1/completions", body)).json()) as Answer;
    expect(choices[0].text).toBe(text);
    const streamed = await (await ask("/v1/completions", { ...body, stream: true })).text();
    const events = streamed
      .split("\n\n")
      .flatMap((event) => (event.startsWith("data: {") ? [event.slice(6)] : []));
    expect(events.map((event) => (JSON.parse(event) as Answer).choices[0].text).join("")).toBe(text);
    expect(streamed).toMatch(/data: \[DONE\]\n\n$/);
  });

  test("refuses what it must, by status", async () => {
    const statuses = await Promise.all([
      ask("/v1/models", undefined, { headers: { authorization: "Bearer another" } }),
      ask("/v1/completions", { prompt: "h".repeat(600) }),
      ask("/v1/completions", undefined, { method: "POST", body: "{" }),
      ask("/v1/completions"),
      ask("/nowhere"),
    ]);
    expect(statuses.map(({ status }) => status)).toEqual([401, 413, 400, 405, 404]);
  });

  test("computes for a client that reads, and no longer than it stays", async () => {
    const client = new AbortController();
    const { body } = await ask("/v1/completions", { ...endless, stream: true }, { signal: client.signal });
    await body?.getReader().read();
    expect(await metric("qklab_requests_running")).toBe(1);
    const full = await ask("/v1/completions", endless);
    expect([full.status, full.headers.get("retry-after")]).toEqual([429, "1"]);
    client.abort();
    await until(async () => (await metric("qklab_requests_running")) === 0);
    const leaving = new AbortController();
    const response = ask("/v1/completions", endless, { signal: leaving.signal });
    await until(async () => (await metric("qklab_requests_running")) === 1);
    leaving.abort();
    await expect(response).rejects.toThrow(/abort/);
    await until(async () => (await metric("qklab_requests_running")) === 0);
  });

  test("ends a stream that outlasts its stop, and then itself with exit code 0", async () => {
    const { body } = await ask("/v1/completions", { ...endless, stream: true });
    const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
    await reader.read();
    server.process.kill("SIGTERM");
    let last = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      last = value;
    }
    expect(last).toContain('"code":"stopping"');
    const { code, stdout, stderr } = await server.ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${address}\n` });
    expect(stderr).toMatch(
      /Stopping: 1 running requests have 0\.2 s.*\n(.*\n)*Stopped after \d+ requests\nNext: [^\n]+\n$/,
    );
    expect(stderr).not.toContain(token);
  });
});

describe("is refused", () => {
  const usual: ServeFlags = {
    model,
    host: "127.0.0.1",
    port: 0,
    maxConcurrent: 1,
    maxQueue: 0,
    maxBody: 500,
    grace: 200,
    seed: 0,
    device: "wasm",
  };
  const refused = async (begin: Promise<unknown>): Promise<unknown> => {
    const error: unknown = await begin.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ message: expect.stringMatching(/^Cannot [^\n]+: [^\n]+\. /) as unknown });
    return error;
  };

  test.each<{ name: string; flags: Partial<ServeFlags>; code: string; says: string }>([
    {
      name: "an address of others without a token",
      flags: { host: "0.0.0.0" },
      code: "token-missing",
      says: "QKLAB_TOKEN",
    },
    {
      name: "a token that no header carries",
      flags: { token: "two words" },
      code: "token-invalid",
      says: "ASCII",
    },
    { name: "a port that is none", flags: { port: 70_000 }, code: "bad-value", says: "65535: '70000'" },
    { name: "a page without a scheme", flags: { cors: ["localhost"] }, code: "bad-value", says: "scheme" },
  ])("$name, before a model is read", async ({ flags, code, says }) => {
    const error = await refused(readPlace({ ...usual, ...flags, model: "nowhere" }, { QKLAB_TOKEN: "" }));
    expect(error).toMatchObject({ code, message: expect.stringContaining(says) as unknown });
    expect(exitCodeOf(error)).toBe(2);
  });

  test("a port that is taken, and an address that is another machine's", async () => {
    const other = createServer();
    const port = await new Promise<number>((resolve) => {
      other.listen(0, "127.0.0.1", () => resolve((other.address() as { port: number }).port));
    });
    try {
      const taken = await refused(listenAt({ ...usual, port }));
      expect(taken).toMatchObject({ message: expect.stringContaining("a port has one server") as unknown });
      expect(exitCodeOf(taken)).toBe(1);
      expect(exitCodeOf(await refused(listenAt({ ...usual, host: "192.0.2.1" })))).toBe(2);
    } finally {
      other.close();
    }
  });

  test("a model that is not there, by its exit code", async () => {
    const { code, stdout, stderr } = await cli(["serve", "--model", "nowhere"]);
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    expect(stderr).toMatch(/^Error: Cannot open the model "nowhere" [^\n]+\n$/);
  });
});
