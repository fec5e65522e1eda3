/** @file Where `serve` listens, what clients call its model, and whom it lets in; what is unsafe is refused before a model is read. */
import { basename } from "node:path";
import type { Listener } from "../../serve/listen.node.ts";
import { CommandError } from "../command-error.ts";
import { texts } from "../dictionary/serve.ts";
import { codeOf, exitCodes } from "../exit-codes.ts";
import { type Bilingual } from "../language.ts";
import { type ServeFlags } from "./options.ts";

/** Who answers, and to whom. */
export interface Place {
  readonly id: string;
  readonly token: string | undefined;
}

/**
 * Reads what is asked of the place.
 *
 * @throws CommandError `token-missing`, `token-invalid`, `bad-value`
 */
export async function readPlace(
  { model, name, adapter, host, port, token: given, cors = [] }: ServeFlags,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Place> {
  if (port > 65_535) throw new CommandError("bad-value", texts.badPort(port));
  const token = given ?? (environment["QKLAB_TOKEN"] || undefined);
  const { isLoopback } = await import("../../serve/guards.ts");
  if (token === undefined && !isLoopback(host)) throw new CommandError("token-missing", texts.noToken(host));
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw new CommandError("token-invalid", texts.badToken);
  }
  for (const origin of cors) {
    if (!isOrigin(origin)) throw new CommandError("bad-value", texts.badOrigin(origin));
  }
  return { id: name ?? nameOf(model, adapter), token };
}

/** A name as it is asked for, of a path its last part; a model with an adapter is another one. */
function nameOf(model: string, adapter: string | undefined): string {
  const own = model.startsWith("hf:") ? model.slice(3) : basename(model);
  return adapter === undefined ? own : `${own}+${basename(adapter)}`;
}

function isOrigin(text: string): boolean {
  try {
    return new URL(text).origin === text;
  } catch {
    return false;
  }
}

const reasons: Readonly<Record<string, { readonly reason: Bilingual; readonly exitCode: number }>> = {
  EADDRINUSE: { reason: texts.inUse, exitCode: exitCodes.failed },
  EACCES: { reason: texts.noRight, exitCode: exitCodes.failed },
  EADDRNOTAVAIL: { reason: texts.noAddress, exitCode: exitCodes.usage },
  ENOTFOUND: { reason: texts.noAddress, exitCode: exitCodes.usage },
};

/**
 * Listens.
 *
 * @throws CommandError `listen` where the system does not let it
 */
export async function listenAt({ host, port }: Pick<ServeFlags, "host" | "port">): Promise<Listener> {
  const { listen } = await import("../../serve/listen.node.ts");
  try {
    return await listen(host, port);
  } catch (cause) {
    const known = reasons[codeOf(cause) ?? ""];
    const reason = known?.reason ?? texts.otherReason((cause as Error).message);
    throw new CommandError(
      "listen",
      texts.cannotListen(host, port, reason),
      known?.exitCode ?? exitCodes.failed,
      { cause },
    );
  }
}
