/** @file The most recently used compiled functions; one that falls out frees its constants. */

interface Disposable {
  dispose(): void;
}

/** A cache of at most `capacity` values, the least recently used of which is disposed. */
export interface CompiledCache<Value extends Disposable> {
  /** The value of a key, made when it is not there. */
  get(key: string, make: () => Value): Value;
  readonly size: number;
}

/** An empty cache. */
export function compiledCache<Value extends Disposable>(capacity: number): CompiledCache<Value> {
  // A Map keeps the order of insertion: the first key is the one not used for longest.
  const values = new Map<string, Value>();
  return {
    get(key, make) {
      const value = values.get(key) ?? make();
      values.delete(key);
      values.set(key, value);
      for (const [oldest, unused] of values) {
        if (values.size <= capacity) break;
        values.delete(oldest);
        unused.dispose();
      }
      return value;
    },
    get size() {
      return values.size;
    },
  };
}
