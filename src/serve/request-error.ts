/**
 * @file What a request is refused with, in the form that clients of OpenAI's interface read: `{ error: { message, type, param, code } }`.
 */
import { DomainError, MissingError, ShapeError, UnsupportedError } from "../base/errors.ts";

/** A refusal, worded as every error: *Cannot ‹act› as ‹rule›: ‹value seen›. ‹What to do next›.* */
export class RequestError extends Error {
  readonly status: number;
  readonly code: string;
  /** The field of the body that is at fault; null where none is. */
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    {
      param = null,
      headers = {},
    }: { readonly param?: string | null; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.name = "RequestError";
    this.status = status;
    this.code = code;
    this.param = param;
    this.headers = headers;
  }
}

/** A refusal of a field of the body. */
export function badField(param: string, message: string, code: string = "invalid_value"): RequestError {
  return new RequestError(400, code, message, { param });
}

/** A refusal of a model that is not served. */
export function unknownModel(name: string, served: string): RequestError {
  return new RequestError(
    404,
    "model_not_found",
    `Cannot answer for the model '${name}' as this server has one: '${served}'. Ask for that`,
    { param: "model" },
  );
}

/** The body of a refusal. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
}

/** The status of a request whose client did not wait, as proxies write it. */
export const clientGone = 499;

const types: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  429: "rate_limit_error",
};

/** What a client is told. */
export function errorBody({ status, message, param, code }: RequestError): ErrorBody {
  const type = types[status] ?? (status >= 500 ? "server_error" : "invalid_request_error");
  return { error: { message, type, param, code } };
}

/**
 * Whatever was thrown, as a refusal: a wish that the model cannot fulfil is the request's fault, anything else the server's, whose
 * words are for its own log.
 *
 * @param param - the field that a wish was in
 */
export function asRequestError(error: unknown, param: string | null = null): RequestError {
  if (error instanceof RequestError) return error;
  const isWish =
    error instanceof DomainError || error instanceof ShapeError || error instanceof UnsupportedError;
  if (isWish || error instanceof MissingError) {
    const code = codes[error.code] ?? error.code;
    return new RequestError(isWish ? 400 : 500, code, error.message, { param });
  }
  return new RequestError(
    500,
    "internal_error",
    "Cannot answer as the server must be able to compute: something failed that should not. Look into the server's log",
  );
}

/** Where clients know a name of OpenAI's. */
const codes: Readonly<Record<string, string>> = { "prompt-too-long": "context_length_exceeded" };
