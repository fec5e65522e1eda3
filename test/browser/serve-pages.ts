/** @file A server of files as anybody may have it: pages that name the library in an import map, and headers of choice. */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo } from "node:net";
import { extname, join } from "node:path";

const types: Readonly<Record<string, string>> = { ".html": "text/html", ".js": "text/javascript" };

/** What a server offers. */
export interface Pages {
  readonly headers: Readonly<Record<string, string>>;
  /** Texts by path, such as `/index.html`. */
  readonly texts: Readonly<Record<string, string>>;
  /** Folders by the first part of a path, such as `dist`. */
  readonly folders: Readonly<Record<string, string>>;
}

/** Serves until it is closed; the address ends without a slash. */
export async function servePages({
  headers,
  texts,
  folders,
}: Pages): Promise<{ readonly address: string; readonly close: () => void }> {
  const contentOf = (path: string): string | Buffer => {
    const [, folder, ...rest] = path.split("/");
    return texts[path] ?? readFileSync(join(folders[folder], ...rest));
  };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    try {
      const content = contentOf(pathname);
      response.writeHead(200, { ...headers, "Content-Type": types[extname(pathname)] ?? "text/plain" });
      response.end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${port}`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
