/**
 * @file A hub for tests: two servers on this machine, one that speaks the hub's protocol and one, another host, to which it sends for
 * large files. Faults are laid in advance.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A file of the hub; large ones are named by their SHA-256 and lie on the other host. */
export interface ServedFile {
  readonly bytes: Uint8Array;
  readonly isLarge?: boolean;
}

/** What a server was asked. */
export interface Asked {
  readonly host: "hub" | "store";
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly token: string | undefined;
}

/** What happens to a request instead of its answer. */
export interface Fault {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** No more than so many bytes come; the connection is held until it is cut. */
  readonly cutAfter?: number;
  /** Nothing is answered. */
  readonly isSilent?: boolean;
  /** Ranges are not understood: the whole file comes. */
  readonly ignoresRange?: boolean;
  /** Other bytes come. */
  readonly bytes?: Uint8Array;
}

/** A running hub. */
export interface HubServer {
  readonly endpoint: string;
  readonly commit: string;
  readonly asked: readonly Asked[];
  /** Lays a fault for the next requests to paths that contain the text, one each. */
  fail(part: string, ...faults: readonly Fault[]): void;
  /** Cuts the held connections all of whose bytes have been received; earlier, they might be lost on the way. */
  cut(receivedBytes: number): void;
  /** What `part` of a path was asked with, as `GET store`. */
  askedFor(part: string): string[];
  close(): Promise<void>;
}

/** The name of a blob. */
export function etagOf({ bytes, isLarge = false }: ServedFile): string {
  if (isLarge) return createHash("sha256").update(bytes).digest("hex");
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

/**
 * Starts a hub with one model.
 *
 * @param repository - `owner/name`
 * @param files - by path
 * @param options - `token`: who lacks it is refused; `siblings`: paths that are listed besides
 */
export async function serveHub(
  repository: string,
  files: Readonly<Record<string, ServedFile>>,
  options: { readonly token?: string; readonly siblings?: readonly string[] } = {},
): Promise<HubServer> {
  const commit = createHash("sha1").update(Object.values(files).map(etagOf).join()).digest("hex");
  const asked: Asked[] = [];
  const held: Held[] = [];
  const laid: { part: string; fault: Fault }[] = [];

  const serve = (
    host: Asked["host"],
    answer: (path: string, request: IncomingMessage, response: ServerResponse, fault: Fault) => void,
  ): Server =>
    createServer((request, response) => {
      const path = request.url ?? "";
      const { range, authorization } = request.headers;
      asked.push({ host, method: request.method ?? "", path, range, token: authorization });
      const place = laid.findIndex(({ part }) => `${request.method} ${host}${path}`.includes(part));
      const fault = place === -1 ? {} : laid.splice(place, 1)[0].fault;
      if (fault.isSilent === true) return;
      if (fault.status !== undefined) {
        const isChunked = fault.headers?.["transfer-encoding"] !== undefined;
        response
          .writeHead(fault.status, { ...(isChunked ? {} : { "content-length": 0 }), ...fault.headers })
          .end();
        return;
      }
      answer(path, request, response, fault);
    });

  const store = serve("store", (path, request, response, fault) => {
    const file = Object.values(files).find((candidate) => path === `/blobs/${etagOf(candidate)}`);
    if (file === undefined) response.writeHead(404, { "content-length": 0 }).end();
    else sendBytes(file, request, response, { fault, held }, { etag: '"another-kind-of-etag"' });
  });
  await listen(store);
  const storeAddress = addressOf(store);

  const hub = serve("hub", (path, request, response, fault) => {
    const refuse = (status: number, code: string): void => {
      response
        .writeHead(status, { "content-length": 0, "x-error-code": code, "x-error-message": `${code}.` })
        .end();
    };
    if (options.token !== undefined && request.headers.authorization !== `Bearer ${options.token}`) {
      refuse(401, "RepoNotFound");
      return;
    }
    const listing = new RegExp(`^/api/models/${repository}/revision/([^/]+)$`).exec(path);
    const file = new RegExp(`^/${repository}/resolve/([^/]+)/(.+)$`).exec(path);
    if (listing === null && file === null) {
      refuse(404, "RepoNotFound");
      return;
    }
    const revision = decodeURIComponent((listing ?? file)?.[1] ?? "");
    if (revision !== commit && !["main", "refs/pr/1"].includes(revision)) {
      refuse(404, "RevisionNotFound");
      return;
    }
    if (file === null) {
      const siblings = [...Object.keys(files), ...(options.siblings ?? [])].map((rfilename) => ({
        rfilename,
      }));
      const body = JSON.stringify({ id: repository, sha: commit, siblings });
      response.writeHead(200, { "content-type": "application/json" }).end(body);
      return;
    }
    const served = files[decodeURIComponent(file[2])];
    if (served === undefined) {
      refuse(404, "EntryNotFound");
      return;
    }
    const head = { "x-repo-commit": commit };
    if (served.isLarge !== true) {
      sendBytes(served, request, response, { fault, held }, { ...head, etag: `"${etagOf(served)}"` });
      return;
    }
    response
      .writeHead(302, {
        ...head,
        location: `${storeAddress}/blobs/${etagOf(served)}`,
        "x-linked-etag": `"${etagOf(served)}"`,
        "x-linked-size": String(served.bytes.length),
        "content-length": 0,
      })
      .end();
  });
  await listen(hub);

  return {
    endpoint: addressOf(hub),
    commit,
    asked,
    fail: (part, ...faults) => void laid.push(...faults.map((fault) => ({ part, fault }))),
    cut(receivedBytes) {
      for (const { response, lastByte } of held) if (lastByte <= receivedBytes) response.destroy();
    },
    askedFor: (part) =>
      asked.filter(({ path }) => path.includes(part)).map(({ method, host }) => `${method} ${host}`),
    async close() {
      for (const server of [hub, store]) {
        server.closeAllConnections();
        await new Promise((done) => void server.close(done));
      }
    },
  };
}

interface Held {
  readonly response: ServerResponse;
  readonly lastByte: number;
}

function sendBytes(
  file: ServedFile,
  request: IncomingMessage,
  response: ServerResponse,
  { fault, held }: { readonly fault: Fault; readonly held: Held[] },
  headers: Readonly<Record<string, string>>,
): void {
  const bytes = fault.bytes ?? file.bytes;
  const asked = /^bytes=(\d+)-$/.exec(fault.ignoresRange === true ? "" : (request.headers.range ?? ""));
  const start = asked === null ? 0 : Number(asked[1]);
  if (start > 0 && start >= bytes.length) {
    response.writeHead(416, { "content-range": `bytes */${bytes.length}`, "content-length": 0 }).end();
    return;
  }
  const part = bytes.subarray(start);
  response.writeHead(asked === null ? 200 : 206, {
    ...headers,
    "content-length": part.length,
    ...(asked === null ? {} : { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
  });
  if (request.method === "HEAD") response.end();
  else if (fault.cutAfter === undefined) response.end(part);
  else {
    response.write(part.subarray(0, fault.cutAfter));
    held.push({ response, lastByte: start + fault.cutAfter });
  }
}

const listen = (server: Server): Promise<void> =>
  new Promise((done) => void server.listen(0, "127.0.0.1", () => done()));

const addressOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
