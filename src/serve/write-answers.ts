/** @file Answers as they are written, counted as they come, and put together where they are not streamed. */
import { type Finish } from "../generation/index.ts";
import { type ChoicePiece, type ChoicesRequest, writeChoices } from "./choices.ts";
import { type RequestContext, type ServerContext } from "./server-context.ts";

/** The pieces of a request's answers; its record counts their tokens, those of an ending included. */
export async function* writeAnswers(
  server: Pick<ServerContext, "model" | "turns" | "metrics">,
  c: RequestContext,
  request: ChoicesRequest,
  signal: AbortSignal,
): AsyncGenerator<ChoicePiece, void, undefined> {
  const record = c.get("record");
  record.promptTokens = request.prompts.reduce((sum, prompt) => sum + prompt.length, 0);
  let [isFirst, counted] = [true, 0];
  for await (const piece of writeChoices(server.model, server.turns, request, signal)) {
    if (isFirst) server.metrics.firstPiece(c.req.path, performance.now() - record.startMs);
    isFirst = false;
    counted += piece.tokens.length;
    record.newTokens += piece.tokens.length;
    if (piece.finish !== undefined) {
      record.newTokens += piece.finish.newTokens - counted;
      counted = 0;
    }
    yield piece;
  }
}

/** An answer to its end. */
export interface WholeAnswer extends ChoicePiece {
  readonly finish: Finish;
}

/** All answers, each as one piece, in their order. */
export async function collectAnswers(pieces: AsyncIterable<ChoicePiece>): Promise<readonly WholeAnswer[]> {
  const answers = new Map<number, ChoicePiece>();
  for await (const piece of pieces) {
    const before = answers.get(piece.index);
    answers.set(piece.index, before === undefined ? piece : joined(before, piece));
  }
  return [...answers.values()].map((answer) => ({ ...answer, finish: answer.finish! }));
}

function joined(before: ChoicePiece, piece: ChoicePiece): ChoicePiece {
  return {
    ...before,
    ...piece,
    text: before.text + piece.text,
    tokens: [...before.tokens, ...piece.tokens],
    details: [...before.details, ...piece.details],
  };
}
