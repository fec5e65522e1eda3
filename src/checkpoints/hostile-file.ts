/** @file Safetensors files laid by hand, for tests that must not trust the writer, and the error that one causes. */

/**
 * The bytes of a file with this header and data.
 *
 * @param header - its text, stored as it is
 * @param dataBytes - how many bytes follow, counting up from 0
 * @param claimedLength - what the first eight bytes say, where that is to be a lie
 */
export function layFile(header: string, dataBytes: number, claimedLength?: bigint): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, claimedLength ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(
    Uint8Array.from({ length: dataBytes }, (_, place) => place),
    8 + text.length,
  );
  return bytes;
}

/** The grammar of errors: Cannot ‹act› as ‹rule›: ‹value seen›. ‹Next step›. */
export const wordingRule: RegExp = /^Cannot .+ as .+ must .+: .+\. .+[^.]$/s;

/** What `act` throws, or nothing. */
export function caught(act: () => unknown): unknown {
  try {
    act();
    return undefined;
  } catch (error) {
    return error;
  }
}
