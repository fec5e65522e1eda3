/** @file Names of models on the hub: `hf:owner/name`, and `@revision` behind it. */
import { DomainError } from "../base/errors.ts";

/** A model on the hub. */
export interface HubName {
  /** `owner/name`, or `name` for the first models of the hub, which have no owner. */
  readonly repository: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

/** The prefix that tells a name on the hub from a folder. */
export const hubPrefix = "hf:";

const longestName = 96;
const part = /^[A-Za-z0-9](?:[\w.-]*[\w])?$|^_[\w.-]*\w$/;

/**
 * Reads `hf:owner/name` or `hf:owner/name@revision`.
 *
 * @param text - the revision is `main` where none is given
 * @throws DomainError `hub-name`
 */
export function parseHubName(text: string): HubName {
  const body = text.startsWith(hubPrefix) ? text.slice(hubPrefix.length) : text;
  const at = body.indexOf("@");
  const repository = at === -1 ? body : body.slice(0, at);
  const revision = at === -1 ? "main" : body.slice(at + 1);
  const parts = repository.split("/");
  const isRepository =
    parts.length <= 2 &&
    repository.length <= longestName &&
    parts.every((name) => part.test(name) && !/--|\.\./.test(name));
  if (!isRepository) throw badName(text, "a repository is owner/name, of letters, digits and . _ -");
  if (!isPlainPath(revision) || !/^[\w./-]+$/.test(revision)) {
    throw badName(text, "a revision is a branch, a tag or a commit");
  }
  return { repository, revision };
}

/** `hf:owner/name`, with the revision where it is not the usual one. */
export function printHubName({ repository, revision }: HubName): string {
  return `${hubPrefix}${repository}${revision === "main" ? "" : `@${revision}`}`;
}

/** Whether a path from outside stays below the folder that it is joined to, on any system. */
export function isPlainPath(path: string): boolean {
  return (
    !/[\\:\0]/.test(path) && path.split("/").every((name) => name !== "" && name !== "." && name !== "..")
  );
}

function badName(text: string, rule: string): DomainError {
  return new DomainError(
    "hub-name",
    `Cannot find ${JSON.stringify(text)} on the hub as ${rule}. Write hf:owner/name or hf:owner/name@revision`,
  );
}
