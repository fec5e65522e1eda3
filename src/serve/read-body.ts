/** @file The JSON of a request's body, of which no more is read than the limit allows. */
import { RequestError } from "./request-error.ts";

/**
 * Reads a body.
 *
 * @param limitBytes - a longer one is refused: at once where it says its length, else as soon as it is longer
 * @throws RequestError 415 for another type, 413 `body_too_large`, 400 `invalid_json`
 */
export async function readJsonBody(
  request: Pick<Request, "headers" | "body">,
  limitBytes: number,
): Promise<Readonly<Record<string, unknown>>> {
  const type = request.headers.get("content-type") ?? "";
  // Browsers ask before they send this type to another site, and are not allowed to.
  if (!/^application\/json *(;|$)/i.test(type)) {
    throw new RequestError(
      415,
      "unsupported_media_type",
      `Cannot read the body as its Content-Type must be application/json: '${type}'. Send the header Content-Type: application/json`,
    );
  }
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > limitBytes) throw tooLarge(limitBytes, `${declared} bytes`);
  const text = await readText(request.body, limitBytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw badJson("it must be JSON", (cause as Error).message);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badJson("it must be a JSON object", Array.isArray(value) ? "an array" : typeof value);
  }
  return value as Readonly<Record<string, unknown>>;
}

async function readText(body: ReadableStream<Uint8Array> | null, limitBytes: number): Promise<string> {
  if (body === null) return "";
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const reader = body.getReader();
  let [text, bytes] = ["", 0];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.length;
    if (bytes > limitBytes) {
      await reader.cancel();
      throw tooLarge(limitBytes, "more than that");
    }
    text += decodePart(decoder, value);
  }
  return text + decodePart(decoder);
}

function decodePart(decoder: TextDecoder, bytes?: Uint8Array): string {
  try {
    return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
  } catch {
    throw badJson("it must be UTF-8", "bytes that are none");
  }
}

function tooLarge(limitBytes: number, seen: string): RequestError {
  return new RequestError(
    413,
    "body_too_large",
    `Cannot read the body as it may have at most ${limitBytes} bytes: ${seen}. Send less, or start the server with a larger --max-body`,
    // The rest of the body would be read as the next request.
    { headers: { Connection: "close" } },
  );
}

function badJson(rule: string, seen: string): RequestError {
  return new RequestError(
    400,
    "invalid_json",
    `Cannot read the body as ${rule}: ${seen}. Send a JSON object`,
  );
}
