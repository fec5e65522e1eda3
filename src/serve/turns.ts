/**
 * @file Turns on one engine. An engine computes one thing at a time, so requests that run beside each other take turns, a token or a
 * part of a prompt each; first come, first served is fair, as whoever wants another turn waits behind all others.
 */

/** A queue of work that must not overlap. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs the work when all work that was asked for earlier has ended, however it ended. */
  take<Result>(work: () => Promise<Result> | Result): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
