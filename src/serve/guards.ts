/**
 * @file Who may ask. A server without a token answers programs of its own machine alone: a page of any site runs there too, in a
 * browser, so requests that name another host (a site whose name was bound to this address) or come from a page are refused.
 */
import { timingSafeEqual } from "hono/utils/buffer";
import { RequestError } from "./request-error.ts";

/** How a server is guarded. */
export interface GuardOptions {
  /** What clients must bring; undefined for a server that its own machine alone reaches. */
  readonly token?: string | undefined;
  /** Origins of pages that may ask, such as `http://localhost:5173`. */
  readonly origins?: readonly string[];
}

/** Whether a host is this machine for itself: `localhost`, names below it, 127.0.0.0/8 and ::1. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  return (
    name === "localhost" || name.endsWith(".localhost") || /^127(\.\d{1,3}){3}$/.test(name) || name === "::1"
  );
}

/**
 * Refuses what no program of this machine sends; a token proves more than that.
 *
 * @throws RequestError 403 `host_refused` or `origin_refused`
 */
export function requireOwnMachine(
  request: Pick<Request, "url" | "headers">,
  { token, origins = [] }: GuardOptions,
): void {
  const { hostname } = new URL(request.url);
  if (token === undefined && !isLoopback(hostname)) {
    throw new RequestError(
      403,
      "host_refused",
      `Cannot answer as a server without a token answers its own machine alone: the request is for the host '${hostname}'. ` +
        "Ask 127.0.0.1 or localhost, or start the server with --token",
    );
  }
  const origin = request.headers.get("origin");
  if (origin === null || origins.includes(origin)) return;
  throw new RequestError(
    403,
    "origin_refused",
    `Cannot answer as pages must be allowed to ask: the request comes from ${origin}. Start the server with --cors ${origin}`,
  );
}

/**
 * Refuses requests without the token, in a time that does not tell how much of it was right.
 *
 * @throws RequestError 401 `invalid_api_key`
 */
export async function requireToken(
  request: Pick<Request, "headers">,
  { token }: GuardOptions,
): Promise<void> {
  if (token === undefined) return;
  const [, given] = /^Bearer +(\S+) *$/i.exec(request.headers.get("authorization") ?? "") ?? [];
  if (given !== undefined && (await timingSafeEqual(given, token))) return;
  throw new RequestError(
    401,
    "invalid_api_key",
    `Cannot answer as requests must bring the server's token: ${given === undefined ? "none came" : "another one came"}. ` +
      "Send the header Authorization: Bearer TOKEN",
    { headers: { "WWW-Authenticate": "Bearer" } },
  );
}
