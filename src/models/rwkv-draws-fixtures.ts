/**
 * @file The numbers of a published measurement once more: Python's `random` after `random.seed(42)`, which is the Mersenne Twister
 * MT19937 (Matsumoto & Nishimura 1998), seeded by an array, with `randint` by rejection of whole bits.
 */

const [stateWords, middle] = [624, 397];

/** Draws of Python's `random`. */
export interface PythonRandom {
  /** A whole number from the least to the most, both included. */
  randint(least: bigint, most: bigint): bigint;
}

/** `random.seed(seed)` for a seed below 2³². */
export function pythonRandom(seed: number): PythonRandom {
  const state = seeded(seed);
  let next = stateWords;

  const word = (): number => {
    if (next === stateWords) {
      turn(state);
      next = 0;
    }
    let drawn = state[next++];
    drawn ^= drawn >>> 11;
    drawn ^= (drawn << 7) & 0x9d2c5680;
    drawn ^= (drawn << 15) & 0xefc60000;
    return (drawn ^ (drawn >>> 18)) >>> 0;
  };
  /** Words from the least significant on; of the last one the upper bits. */
  const bits = (count: number): bigint => {
    let drawn = 0n;
    for (let from = 0; from < count; from += 32) {
      const missing = Math.max(0, 32 - (count - from));
      drawn |= BigInt(word() >>> missing) << BigInt(from);
    }
    return drawn;
  };
  return {
    randint(least, most) {
      const count = most - least + 1n;
      const width = count.toString(2).length;
      let drawn = bits(width);
      while (drawn >= count) drawn = bits(width);
      return least + drawn;
    },
  };
}

/** The state after `init_by_array([seed])`. */
function seeded(seed: number): Uint32Array {
  const state = new Uint32Array(stateWords);
  const carried = (place: number): number => state[place - 1] ^ (state[place - 1] >>> 30);
  state[0] = 19650218;
  for (let place = 1; place < stateWords; place++) {
    state[place] = Math.imul(1812433253, carried(place)) + place;
  }
  let place = 1;
  const advance = (): void => {
    place += 1;
    if (place < stateWords) return;
    state[0] = state[stateWords - 1];
    place = 1;
  };
  for (let round = 0; round < stateWords; round++) {
    state[place] = (state[place] ^ Math.imul(carried(place), 1664525)) + seed;
    advance();
  }
  for (let round = 1; round < stateWords; round++) {
    state[place] = (state[place] ^ Math.imul(carried(place), 1566083941)) - place;
    advance();
  }
  state[0] = 0x80000000;
  return state;
}

/** The next 624 words. */
function turn(state: Uint32Array): void {
  for (let place = 0; place < stateWords; place++) {
    const joined = (state[place] & 0x80000000) | (state[(place + 1) % stateWords] & 0x7fffffff);
    const twisted = (joined >>> 1) ^ ((joined & 1) * 0x9908b0df);
    state[place] = state[(place + middle) % stateWords] ^ twisted;
  }
}
