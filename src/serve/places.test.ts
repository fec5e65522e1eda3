/** @file Places and turns of a server: who runs, who waits, and what becomes of a text whose client leaves, stalls, or outlasts a stop. */
import { describe, expect, test } from "vitest";
import { askServer, type AskedServer, limits, scriptedModel, type ScriptedModel } from "./serve-fixtures.ts";

const completions = "/v1/completions";
const endless = { prompt: "x", max_tokens: 50, temperature: 0 };

/** Everything that is due has run. */
const settled = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, 5);
  });

/** A model that takes no token until it is let. */
function heldModel(): ScriptedModel & { readonly release: () => void } {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const model = scriptedModel(() => released);
  return Object.defineProperties({ release }, Object.getOwnPropertyDescriptors(model)) as ScriptedModel & {
    readonly release: () => void;
  };
}

async function expectFree(server: AskedServer, model: ScriptedModel): Promise<void> {
  await server.app.idle();
  await settled();
  expect(server.app.load).toEqual({ running: 0, waiting: 0 });
  expect(model.open).toBe(0);
}

describe("places", () => {
  test("are given in turn: two run, one waits, and the next is told to come again", async () => {
    const model = heldModel();
    const server = askServer(model);
    const [first, second, third] = [1, 2, 3].map(() => server.post(completions, endless));
    await settled();
    expect(server.app.load).toEqual({ running: 2, waiting: 1 });
    expect(await (await server.get("/health")).json()).toMatchObject({
      status: "ok",
      running: 2,
      waiting: 1,
    });
    const fourth = await server.post(completions, endless);
    expect([fourth.status, fourth.headers.get("retry-after")]).toEqual([429, "1"]);
    expect(await fourth.json()).toMatchObject({
      error: { type: "rate_limit_error", code: "rate_limit_exceeded" },
    });
    model.release();
    for (const response of await Promise.all([first, second, third])) expect(response.status).toBe(200);
    await expectFree(server, model);
  });

  test("are given back by a client that leaves, while it waits and while it runs", async () => {
    const model = heldModel();
    const server = askServer(model);
    const clients = [1, 2, 3].map(() => new AbortController());
    const responses = clients.map(({ signal }) => server.post(completions, endless, { signal }));
    await settled();
    clients[2].abort();
    expect((await responses[2]).status).toBe(499);
    expect(server.app.load).toEqual({ running: 2, waiting: 0 });
    clients[0].abort();
    clients[1].abort();
    model.release();
    for (const response of await Promise.all(responses)) expect(response.status).toBe(499);
    await expectFree(server, model);
    // Nothing was generated for them: of each prompt the part that was being taken, at most.
    expect(model.taken).toBeLessThanOrEqual(2);
  });

  test("are given back where a text cannot begin, and where the client has left already", async () => {
    const told: unknown[] = [];
    const model = scriptedModel(undefined, () => {
      throw new Error("no memory");
    });
    const server = askServer(model, { onError: (error) => told.push(error) });
    for (let request = 0; request < 4; request++) {
      const response = await server.post(completions, endless);
      expect(response.status).toBe(500);
      expect(await response.json()).toMatchObject({
        error: { type: "server_error", code: "internal_error" },
      });
    }
    expect(told).toHaveLength(4);
    const streamed = await (await server.post(completions, { ...endless, stream: true })).text();
    expect(streamed).toContain('"code":"internal_error"');
    expect(streamed).not.toContain("[DONE]");
    const gone = await server.post(completions, endless, { signal: AbortSignal.abort() });
    expect(gone.status).toBe(499);
    await expectFree(server, model);
  });
});

describe("a stream", () => {
  const open = async (server: AskedServer): Promise<ReadableStreamDefaultReader<Uint8Array>> => {
    const { body } = await server.post(completions, { ...endless, stream: true });
    return body!.getReader();
  };

  test("computes only what is pulled", async () => {
    const model = scriptedModel();
    const server = askServer(model);
    const reader = await open(server);
    await settled();
    expect(model.taken).toBe(0);
    await reader.read();
    await reader.read();
    await settled();
    expect(model.taken).toBeLessThanOrEqual(2);
    await reader.cancel();
    await expectFree(server, model);
  });

  test.each([0, 1, 3])("that is cancelled after %d pulls frees its text and its place", async (pulls) => {
    const model = scriptedModel();
    const server = askServer(model);
    for (let client = 0; client < 3; client++) {
      const reader = await open(server);
      for (let pull = 0; pull < pulls; pull++) await reader.read();
      await reader.cancel();
      await expectFree(server, model);
    }
    const cut = 'qklab_http_requests_total{method="POST",route="/v1/completions",status="499"}';
    expect(await server.metric(cut)).toBe(3);
  });

  test("that is cancelled while a token is computed disposes of its text after that", async () => {
    const model = heldModel();
    const server = askServer(model);
    const reader = await open(server);
    const reading = reader.read();
    await settled();
    const cancelled = reader.cancel();
    await settled();
    expect(model.open).toBe(1);
    model.release();
    await Promise.all([reading, cancelled]);
    await expectFree(server, model);
    expect(model.taken).toBe(1);
  });

  test("that is cancelled while it is given up is no failure", async () => {
    const model = scriptedModel();
    const server = askServer(model, { limits: { ...limits, stallMs: 5 } });
    const reader = await open(server);
    await reader.read();
    // In the turns of the event loop in which the text is disposed.
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
    await reader.cancel();
    await expectFree(server, model);
  });

  test("that nobody reads is given up", async () => {
    const model = scriptedModel();
    const server = askServer(model, { limits: { ...limits, stallMs: 20 } });
    const reader = await open(server);
    await reader.read();
    await server.app.idle();
    await expectFree(server, model);
    const rest = await reader.read();
    expect(rest.done).toBe(true);
  });
});

test("texts take turns: two at once say what each says alone, and no two tokens overlap", async () => {
  const model = scriptedModel(settled);
  const server = askServer(model);
  const text = async (prompt: string): Promise<string> => {
    const answer = await server.ask<{ choices: readonly { text: string }[] }>(completions, {
      ...endless,
      prompt,
      max_tokens: 6,
    });
    return answer.choices[0].text;
  };
  expect(await Promise.all([text("x"), text("y")])).toEqual(["yxyxyx", "xyxyxy"]);
  await expectFree(server, model);
});

describe("a stop", () => {
  test("lets those finish who run, and refuses those who wait or come", async () => {
    const model = heldModel();
    const server = askServer(model);
    const [first, , waiting] = [1, 2, 3].map(() => server.post(completions, endless));
    await settled();
    server.app.stop();
    expect((await waiting).status).toBe(503);
    expect((await server.get("/health")).status).toBe(503);
    expect(await server.ask(completions, endless)).toMatchObject({ error: { code: "stopping" } });
    model.release();
    expect((await first).status).toBe(200);
    await expectFree(server, model);
  });

  test("ends those who take too long, and streams say so", async () => {
    const model = scriptedModel();
    const server = askServer(model);
    const { body } = await server.post(completions, { ...endless, stream: true });
    const reader = body!.getReader();
    await reader.read();
    server.app.stop();
    server.app.abort();
    // Though nothing is read.
    await server.app.idle();
    expect(model.open).toBe(0);
    const { value } = await reader.read();
    expect(new TextDecoder().decode(value)).toContain('"code":"stopping"');
    expect((await reader.read()).done).toBe(true);
    await expectFree(server, model);
  });
});
