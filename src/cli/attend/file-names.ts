/** @file What tensors are called in files of `attend`, where the library's names have capitals. */
const inFiles: Readonly<Record<string, string>> = {
  logDecay: "log_decay",
  dLogDecay: "dlog_decay",
  keyLengths: "key_lengths",
  dOut: "dout",
  dState: "dstate",
};

/** A tensor's name in a file. */
export function fileNameOf(name: string): string {
  return inFiles[name] ?? name;
}

/** Does something whose errors speak of tensors by the names that they have in files. */
export async function sayingFileNames<Result>(act: () => Promise<Result>): Promise<Result> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof Error) error.message = error.message.replaceAll(/\b[a-zA-Z]+\b/g, fileNameOf);
    throw error;
  }
}
