/** @file The server as a citizen of HTTP: its models, paths, methods and types, whom it lets in, and what it measures. */
import { describe, expect, test } from "vitest";
import { askServer, limits, scriptedModel } from "./serve-fixtures.ts";

const completions = "/v1/completions";
const server = askServer(scriptedModel());

describe("the frame of HTTP", () => {
  test("lists and describes its one model, and no other", async () => {
    const list = await (await server.get("/v1/models")).json();
    expect(list).toMatchObject({
      object: "list",
      data: [{ id: "scripted", object: "model", owned_by: "qklab" }],
    });
    expect(await (await server.get("/v1/models/scripted")).json()).toEqual(
      (list as { data: unknown[] }).data[0],
    );
    const foreign = [
      await server.get("/v1/models/other/one"),
      await server.post(completions, { model: "gpt-4", prompt: "h" }),
    ];
    for (const response of foreign) {
      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({ error: { code: "model_not_found", param: "model" } });
    }
  });

  test.each<{
    name: string;
    status: number;
    code: string;
    ask: () => Promise<Response>;
    header?: readonly [string, string];
  }>([
    { name: "an unknown path", status: 404, code: "not_found", ask: () => server.get("/v1/embeddings") },
    {
      name: "a wrong method",
      status: 405,
      code: "method_not_allowed",
      ask: () => server.get(completions),
      header: ["allow", "POST"],
    },
    {
      name: "another type",
      status: 415,
      code: "unsupported_media_type",
      ask: () =>
        server.post(completions, "prompt=h", {
          headers: { "content-type": "application/x-www-form-urlencoded" },
        }),
    },
    {
      name: "a body that says that it is too long",
      status: 413,
      code: "body_too_large",
      ask: () =>
        server.post(
          completions,
          { prompt: "h".repeat(limits.bodyBytes) },
          { headers: { "content-length": "10015" } },
        ),
    },
    {
      name: "a body that is too long without saying so",
      status: 413,
      code: "body_too_large",
      ask: () => server.post(completions, { prompt: "h".repeat(limits.bodyBytes) }),
    },
    {
      name: "a name that was bound to this machine",
      status: 403,
      code: "host_refused",
      ask: async () => server.app.fetch(new Request("http://rebound.example:8080/v1/models")),
    },
    {
      name: "a page that was not allowed",
      status: 403,
      code: "origin_refused",
      ask: () => server.get("/v1/models", { origin: "https://page.example" }),
    },
  ])("refuses $name", async ({ status, code, ask, header }) => {
    const response = await ask();
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { code } });
    if (header !== undefined) expect(response.headers.get(header[0])).toBe(header[1]);
  });

  test("asks for its token everywhere but at /health, and lets pages in that it was told of", async () => {
    const origins = ["http://localhost:5173"];
    const guarded = askServer(scriptedModel(), { token: "secret", origins });
    const statusOf = async (path: string, headers: Readonly<Record<string, string>>): Promise<number> =>
      (await guarded.app.fetch(new Request(`http://served.example${path}`, { headers }))).status;
    expect(await statusOf("/v1/models", {})).toBe(401);
    expect(await statusOf("/metrics", { authorization: "Bearer secre" })).toBe(401);
    expect(await statusOf("/metrics", { authorization: "Basic secret" })).toBe(401);
    expect(await statusOf("/v1/models", { authorization: "bearer secret" })).toBe(200);
    expect(await statusOf("/health", {})).toBe(200);
    const preflight = await guarded.app.fetch(
      new Request("http://served.example/v1/completions", {
        method: "OPTIONS",
        headers: { origin: origins[0], "access-control-request-method": "POST" },
      }),
    );
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe(origins[0]);
  });

  test("measures requests by route and status, and tells of each when it is over", async () => {
    const told: unknown[] = [];
    const own = askServer(scriptedModel(), { onRequest: (request) => told.push({ ...request, timeMs: 0 }) });
    await own.ask(completions, { prompt: "xy", max_tokens: 3, temperature: 0 });
    await own.stream(completions, { prompt: "x", max_tokens: 2, temperature: 0 });
    await own.get('/"odd"\n');
    expect(told).toEqual([
      { method: "POST", route: completions, status: 200, promptTokens: 2, newTokens: 3, timeMs: 0 },
      { method: "POST", route: completions, status: 200, promptTokens: 1, newTokens: 2, timeMs: 0 },
      { method: "GET", route: "other", status: 404, promptTokens: 0, newTokens: 0, timeMs: 0 },
    ]);
    const text = await (await own.get("/metrics")).text();
    expect(text).toContain(
      `qklab_http_requests_total{method="POST",route="${completions}",status="200"} 2\n`,
    );
    expect(text).toContain("qklab_prompt_tokens_total 3\n");
    expect(text).toContain("qklab_generated_tokens_total 5\n");
    expect(text).toContain(`qklab_http_request_seconds_bucket{route="${completions}",le="+Inf"} 2\n`);
    expect(text).toMatch(/# TYPE qklab_requests_running gauge\nqklab_requests_running 0\n/);
  });
});
