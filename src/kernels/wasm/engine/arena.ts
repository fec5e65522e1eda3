/**
 * @file The one memory of an engine: a call takes places from it and gives all of them back at its end, so that the
 * memory grows to the largest call and no further. Below the places of calls lie those that are kept between calls.
 */
import { UnsupportedError } from "../../../base/errors.ts";
import { mostPages } from "./tasks.ts";
import { KeptPlaces } from "./kept-places.ts";
import { controlBytes } from "./thread-control.ts";

const pageBytes = 65_536;
/** Places begin at multiples of a cache line. */
const lineBytes = 64;
/** Vector loads at the end of the last place stay inside the memory. */
const slackBytes = 4 * pageBytes;

/** Takes and gives back places in one WebAssembly memory. */
export class Arena {
  readonly memory: WebAssembly.Memory;
  /** The first bytes belong to the threads. */
  readonly #kept = new KeptPlaces(inLines(controlBytes));
  #next: number = this.#kept.end;
  #floats: Float32Array;
  #integers: Int32Array;
  #doubles: Float64Array;
  #bytes: Uint8Array;

  constructor(shared: boolean) {
    this.memory = new WebAssembly.Memory({ initial: 1, maximum: mostPages, shared });
    [this.#floats, this.#integers, this.#doubles, this.#bytes] = viewsOf(this.memory.buffer);
  }

  /** All numbers of the memory; asked for again after every {@link take}, which may have grown it. */
  get floats(): Float32Array {
    return this.#floats;
  }
  get integers(): Int32Array {
    return this.#integers;
  }
  get doubles(): Float64Array {
    return this.#doubles;
  }
  get bytes(): Uint8Array {
    return this.#bytes;
  }
  get sizeBytes(): number {
    return this.memory.buffer.byteLength;
  }

  /** Where the next place will begin: {@link giveBack} returns to it. */
  get mark(): number {
    return this.#next;
  }

  giveBack(mark: number): void {
    this.#next = mark;
  }

  /**
   * The address of `bytes` fresh bytes, whose content is what the last call left there.
   *
   * @throws UnsupportedError `memory` when the job would need more than 4 GiB
   */
  take(bytes: number): number {
    const address = this.#next;
    const end = address + inLines(bytes);
    this.reserve(end);
    this.#next = end;
    return address;
  }

  /**
   * The address of `bytes` fresh bytes that stay taken until {@link release}. Not to be asked for inside a call, whose
   * places lie above.
   *
   * @throws UnsupportedError `memory` when more than 4 GiB would be needed
   */
  keep(bytes: number): number {
    this.#requireIdle();
    const address = this.#kept.take(inLines(bytes));
    try {
      this.reserve(this.#kept.end);
    } catch (error) {
      this.#kept.giveBack(address);
      throw error;
    }
    this.#next = this.#kept.end;
    return address;
  }

  /** Gives back what was kept. Not inside a call. */
  release(address: number): void {
    this.#requireIdle();
    this.#kept.giveBack(address);
    this.#next = this.#kept.end;
  }

  #requireIdle(): void {
    if (this.#next === this.#kept.end) return;
    throw new UnsupportedError(
      "memory",
      "Cannot keep or release memory inside a call as the places of the call lie above it: a call is running. Wait for its end",
    );
  }

  /** Grows the memory to hold the first `bytes` bytes and a margin. */
  reserve(bytes: number): void {
    const wanted = Math.ceil((bytes + slackBytes) / pageBytes);
    const present = this.memory.buffer.byteLength / pageBytes;
    if (wanted <= present) return;
    if (wanted > mostPages) throw tooLarge(bytes);
    try {
      this.memory.grow(wanted - present);
    } catch {
      throw tooLarge(bytes);
    }
    [this.#floats, this.#integers, this.#doubles, this.#bytes] = viewsOf(this.memory.buffer);
  }

  /** Overwrites all memory beyond the mark, nothing that is kept, so that a test sees what is read before it is written. */
  poison(): void {
    this.#floats.fill(Number.NaN, this.#next / 4);
  }
}

const inLines = (bytes: number): number => Math.ceil(bytes / lineBytes) * lineBytes;

function tooLarge(bytes: number): UnsupportedError {
  return new UnsupportedError(
    "memory",
    `Cannot attend on wasm as a call must fit into the memory that WebAssembly and this machine give: ` +
      `${(bytes / 2 ** 30).toFixed(2)} GiB of at most 4 GiB. Split the batch or the heads into several calls`,
  );
}

function viewsOf(buffer: ArrayBufferLike): [Float32Array, Int32Array, Float64Array, Uint8Array] {
  return [new Float32Array(buffer), new Int32Array(buffer), new Float64Array(buffer), new Uint8Array(buffer)];
}
