/** @file The server on a port of this machine, and its end: no new requests, those that run finish or are ended, then the port is free. */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { type ServeApp, startingAnswer } from "./app.ts";

/** A port that is listened at. */
export interface Listener {
  /** `http://127.0.0.1:8080` */
  readonly address: string;
  /** From here on requests are answered; before, they are told that the model is on its way. */
  serve(app: ServeApp): void;
  /**
   * Stops.
   *
   * @param graceMs - those that run have so long to finish
   */
  close(graceMs: number): Promise<void>;
}

/** Connections beyond these are not accepted. */
const mostConnections = 1024;
/** A request must have come within so long. */
const requestTimeoutMs = 60_000;
/** Answers that were ended have so long to reach their clients. */
const flushMs = 1000;

/**
 * Listens.
 *
 * @param port - 0: any free one
 * @throws the system's error, such as EADDRINUSE
 */
export async function listen(host: string, port: number): Promise<Listener> {
  let app: ServeApp | undefined;
  const server = createAdaptorServer({
    fetch: (request) => (app === undefined ? startingAnswer() : app.fetch(request)),
    overrideGlobalObjects: false,
    serverOptions: { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs },
  }) as Server;
  server.maxConnections = mostConnections;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const bound = server.address() as AddressInfo;
  return {
    address: `http://${bound.family === "IPv6" ? `[${bound.address}]` : bound.address}:${bound.port}`,
    serve(served) {
      app = served;
    },
    async close(graceMs) {
      app?.stop();
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      await within(graceMs, app?.idle());
      app?.abort();
      await app?.idle();
      server.closeIdleConnections();
      await within(flushMs, closed);
      server.closeAllConnections();
      await closed;
    },
  };
}

async function within(timeMs: number, work: Promise<void> | undefined): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeMs);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}
