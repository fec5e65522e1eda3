/**
 * @file Where the hub is, where its cache is, and who asks: the environment variables of Hugging Face's own tools, with their
 * meanings (huggingface_hub, constants.py).
 */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { DomainError } from "../base/errors.ts";

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What the environment says of the hub. */
export interface HubSettings {
  /** Without a slash at the end. */
  readonly endpoint: string;
  /** Holds one folder a model. */
  readonly cacheFolder: string;
  readonly token?: string;
  /** Whether only the cache may be asked. */
  readonly isOffline: boolean;
}

/**
 * Reads HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_TOKEN_PATH, HF_HUB_OFFLINE, and the older names of some; a token that
 * `hf auth login` left in its file is used where none is in the environment.
 *
 * @throws DomainError `hub-endpoint` where HF_ENDPOINT is no address
 */
export async function hubSettings(environment: Environment): Promise<HubSettings> {
  const given = (...names: readonly string[]): string | undefined =>
    names.map((name) => environment[name]).find((value) => value !== undefined && value !== "");
  const isOn = (...names: readonly string[]): boolean => /^(1|on|yes|true)$/i.test(given(...names) ?? "");

  const endpoint = (given("HF_ENDPOINT") ?? "https://huggingface.co").replace(/\/+$/, "");
  if (!/^https?:\/\/[^/?#@]+(\/[^?#]*)?$/.test(endpoint) || !URL.canParse(endpoint)) {
    throw new DomainError(
      "hub-endpoint",
      `Cannot ask the hub as HF_ENDPOINT must be an http or https address: ${JSON.stringify(endpoint)}. ` +
        "Set it to one such as https://huggingface.co, or unset it",
    );
  }
  const home = given("HF_HOME") ?? join(given("XDG_CACHE_HOME") ?? join(homedir(), ".cache"), "huggingface");
  const token = isOn("HF_HUB_DISABLE_IMPLICIT_TOKEN")
    ? undefined
    : (given("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") ??
      (await readFile(given("HF_TOKEN_PATH") ?? join(home, "token"), "utf8").catch(() => undefined)));
  // Line ends come with files and with variables that are set from files.
  const cleaned = token?.replace(/[\r\n]/g, "").trim();
  return {
    endpoint,
    cacheFolder: given("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE") ?? join(home, "hub"),
    ...(cleaned === undefined || cleaned === "" ? {} : { token: cleaned }),
    isOffline: isOn("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
  };
}
