/** @file Records whose absent members are absent, not undefined, as exact optional properties want them. */

/** The record without its undefined members. */
export function dropAbsent<T extends object>(record: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
