/** @file What `serve` writes to stderr: a line for each request, and a call that a person can copy. */
import type { FinishedRequest } from "../../serve/server-metrics.ts";
import { texts } from "../dictionary/serve.ts";
import { type Bilingual } from "../language.ts";
import { quoteForShell } from "../session.ts";

/** `12:30:01 POST /v1/completions 200 0.52s 12+34 tokens`, in the time of the machine. */
export function requestLine(
  { method, route, status, timeMs, promptTokens, newTokens }: FinishedRequest,
  now: Date,
): Bilingual {
  const two = (part: number): string => String(part).padStart(2, "0");
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join(":");
  const line = `${time} ${method} ${route} ${status} ${(timeMs / 1000).toFixed(2)}s`;
  const tokens = promptTokens === 0 ? { en: "", zh: "" } : texts.tokens(promptTokens, newTokens);
  return { en: line + tokens.en, zh: line + tokens.zh };
}

/** A first request to the server, for a shell. */
export function exampleCall(
  address: string,
  {
    id,
    token,
    isChat,
  }: { readonly id: string; readonly token: string | undefined; readonly isChat: boolean },
): string {
  const path = isChat ? "/v1/chat/completions" : "/v1/completions";
  const asked = isChat
    ? { model: id, messages: [{ role: "user", content: "为什么天空是蓝色的？" }], stream: true }
    : { model: id, prompt: "Once upon a time", max_tokens: 64, stream: true };
  const words = ["curl", "-N", `${reachable(address)}${path}`, "-H", "Content-Type: application/json"];
  // The shell fills the token in: it is not for logs.
  const authorization = token === undefined ? [] : ['-H "Authorization: Bearer $QKLAB_TOKEN"'];
  return [...words.map(quoteForShell), ...authorization, "-d", quoteForShell(JSON.stringify(asked))].join(
    " ",
  );
}

/** An address of all networks is no place to call. */
function reachable(address: string): string {
  return address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:");
}
