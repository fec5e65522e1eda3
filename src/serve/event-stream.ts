/**
 * @file Server-sent events as they are pulled: a token is computed when the client has room for it, and nothing is computed for a client
 * that is gone or that reads no more.
 */
import { gone, type Job } from "./admission.ts";
import { asRequestError, errorBody, RequestError } from "./request-error.ts";

/** How a stream is watched. */
export interface StreamOptions {
  /** Ended with the stream, and aborted where the client leaves it. */
  readonly job: Job;
  /** A client that takes nothing for so long is gone. */
  readonly stallMs: number;
  /** Told once, when all is over, with what cut it off. */
  readonly onEnd: (reason: RequestError | undefined) => void;
  /** Told of everything that fails; the client reads it too. */
  readonly onError: (error: unknown) => void;
}

/**
 * Events of JSON documents, and `[DONE]`; what cuts the documents off is the last event, and then there is no `[DONE]`.
 *
 * @param documents - is returned wherever the stream ends
 */
export function eventStream(
  documents: AsyncGenerator<unknown, void, undefined>,
  { job, stallMs, onEnd, onError }: StreamOptions,
): ReadableStream<Uint8Array> {
  const utf8 = new TextEncoder();
  let stall: ReturnType<typeof setTimeout> | undefined;
  let [isLeft, isCancelled, isOver] = [false, false, false];
  // A generator that was never asked has no `finally` to run: the place is given back here.
  const end = (reason: RequestError | undefined): void => {
    if (isOver) return;
    isOver = true;
    job.end();
    onEnd(reason);
  };
  const giveUp = async (): Promise<void> => {
    clearTimeout(stall);
    try {
      await documents.return();
    } catch (error) {
      onError(error);
    } finally {
      end(reasonOf(job));
    }
  };
  const leave = (reason: RequestError): Promise<void> => {
    isLeft = true;
    job.abort(reason);
    return giveUp();
  };
  // Also where nobody pulls: a client that reads nothing must not hold a stop up.
  if (job.signal.aborted) void giveUp();
  else job.signal.addEventListener("abort", () => void giveUp(), { once: true });
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(stall);
        let [text, isLast, failure]: [string, boolean, RequestError | undefined] = [
          "[DONE]",
          true,
          undefined,
        ];
        try {
          const { done, value } = await documents.next();
          job.signal.throwIfAborted();
          if (done !== true) [text, isLast] = [JSON.stringify(value), false];
        } catch (error) {
          onError(error);
          failure = asRequestError(error);
          text = JSON.stringify(errorBody(failure));
        }
        if (isLeft) return;
        controller.enqueue(utf8.encode(`data: ${text}\n\n`));
        if (isLast) {
          controller.close();
          end(failure);
        } else {
          stall = setTimeout(() => {
            void leave(stalled(stallMs)).then(() => {
              if (!isCancelled) controller.close();
              return undefined;
            });
          }, stallMs);
        }
      },
      cancel() {
        isCancelled = true;
        return leave(gone());
      },
    },
    { highWaterMark: 0 },
  );
}

const reasonOf = ({ signal }: Job): RequestError | undefined =>
  signal.aborted ? (signal.reason as RequestError) : undefined;

function stalled(stallMs: number): RequestError {
  return new RequestError(
    408,
    "client_stalled",
    `Cannot go on as the client must read the stream: it took nothing for ${stallMs / 1000} s. Send the request again`,
  );
}

/** What a stream of events is sent with. */
export const eventStreamHeaders: Readonly<Record<string, string>> = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-cache",
  // Proxies that hold answers back would hold tokens back.
  "X-Accel-Buffering": "no",
  "Transfer-Encoding": "chunked",
};
