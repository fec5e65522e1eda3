/**
 * @file Places that outlive calls: they lie one after the other from a fixed address, and one that was given back is used
 * again by the first that fits. What is free at the end is no place any more.
 */

interface Place {
  readonly address: number;
  readonly bytes: number;
}

/** Takes and gives back places from `start` on; whoever owns the memory grows it to {@link end}. */
export class KeptPlaces {
  readonly #taken = new Map<number, number>();
  /** Free places below the end, by address; no two touch. */
  #free: readonly Place[] = [];
  #end: number;

  constructor(start: number) {
    this.#end = start;
  }

  /** Where what is kept ends. */
  get end(): number {
    return this.#end;
  }

  /** The address of `bytes` bytes: the first free place that holds them, else the end. */
  take(bytes: number): number {
    const found = this.#free.find((place) => place.bytes >= bytes);
    const address = found?.address ?? this.#end;
    if (found === undefined) this.#end += bytes;
    else {
      const rest = { address: address + bytes, bytes: found.bytes - bytes };
      this.#free = this.#free.flatMap((place) => (place !== found ? [place] : rest.bytes > 0 ? [rest] : []));
    }
    this.#taken.set(address, bytes);
    return address;
  }

  /** Gives back a place that was taken; one that was not is left as it is. */
  giveBack(address: number): void {
    const bytes = this.#taken.get(address);
    if (bytes === undefined) return;
    this.#taken.delete(address);
    const places = [...this.#free, { address, bytes }].toSorted((a, b) => a.address - b.address);
    const joined: Place[] = [];
    for (const place of places) {
      const before = joined.at(-1);
      if (before === undefined || before.address + before.bytes < place.address) joined.push(place);
      else joined[joined.length - 1] = { address: before.address, bytes: before.bytes + place.bytes };
    }
    const last = joined.at(-1);
    if (last !== undefined && last.address + last.bytes === this.#end) {
      this.#end = last.address;
      joined.pop();
    }
    this.#free = joined;
  }
}
