/** @file One `attend`: reads tensors, computes, and writes the results whole or not at all. */
import { realpath, stat } from "node:fs/promises";
import { totalmem } from "node:os";
import { dirname } from "node:path";
import { writeSafetensors } from "../../checkpoints/safetensors-file.node.ts";
import { formatBytes, formatDuration } from "../../compare/format.ts";
import {
  type AttentionInputs,
  checkInputs,
  completeSelector,
  compose,
  type ExtraOutput,
  narrow,
  parseAnySelector,
  printSelector,
  type SelectedParts,
} from "../../index.ts";
import { CommandError } from "../command-error.ts";
import { texts } from "../dictionary/attend.ts";
import { exitCodes } from "../exit-codes.ts";
import { printQuantity } from "../quantities.ts";
import { type Session } from "../session.ts";
import { version } from "../version.ts";
import { attendRecurrence } from "./recurrence.ts";
import { type Device, type Results, onBackend, onReference, openJax, openWasm } from "./devices.ts";
import { sayingFileNames } from "./file-names.ts";
import { type AttendOptions } from "./options.ts";
import { chooseParameters } from "./parameters.ts";
import { readInputs } from "./read-inputs.ts";

/** Computes what the options ask for; prints a document with `--json` alone. */
export async function attend(options: AttendOptions, session: Session): Promise<void> {
  const selected = parseAnySelector(options.spec);
  if (selected.kind === "recurrence") {
    await requireOtherFile(options.in, options.out);
    const computed = await sayingFileNames(() => attendRecurrence(selected.composition, options));
    await report(computed, options, session);
    return;
  }
  await report(await sayingFileNames(() => attendPairs(selected.parts, options)), options, session);
}

/** What was computed, and from what. */
interface Computed {
  readonly selector: string;
  readonly results: Results;
  readonly timeMs: number;
  /** Tensors of the file that nothing was done with. */
  readonly unread: readonly string[];
  /** Whether F64 inputs were rounded. */
  readonly isRounded?: boolean;
}

async function attendPairs(parts: SelectedParts, options: AttendOptions): Promise<Computed> {
  const { device: deviceName, backward = false } = options;
  const spec = readSpec(options.spec, parts);
  const composition = compose(spec);
  const device = deviceName === "reference" ? onReference : await openDevice(deviceName);
  await requireOtherFile(options.in, options.out);
  const file = await readInputs(options.in, { backward });
  const inputs = withOptions(file.inputs, options);
  requireMemory(inputs);
  const isDouble = file.isDouble && deviceName === "reference";
  const parameters = chooseParameters(composition, inputs, {
    scale: options.scale,
    seed: options.seed,
    isDouble,
  });
  const extras: readonly ExtraOutput[] = [
    ...(composition.normaliser.name === "softmax" ? (["lse"] as const) : []),
    ...new Set(options.return),
  ];
  const startMs = performance.now();
  const results = await device({
    spec,
    inputs: { ...inputs, parameters },
    dOut: file.dOut,
    extras,
    isDouble,
  });
  const timeMs = performance.now() - startMs;
  for (const [name, value] of Object.entries(parameters))
    results[`param.${name}`] = isDouble ? value : narrow(value);
  return {
    selector: printSelector(composition),
    results,
    timeMs,
    unread: file.unread,
    isRounded: file.isDouble && !isDouble,
  };
}

/** Writes the results, and says what was done. */
async function report(
  { selector, results, timeMs, unread, isRounded = false }: Computed,
  options: AttendOptions,
  session: Session,
): Promise<void> {
  const { device, in: input, out: output } = options;
  await writeSafetensors(output, results, { selector, device, version });
  if (options.json === true) {
    const tensors = Object.entries(results).map(([name, { data, shape }]) => ({
      name,
      dtype: data instanceof Float64Array ? "F64" : "F32",
      shape,
    }));
    const document = { selector, device, version, input, output, timeMs, unread, tensors };
    await session.print(`${JSON.stringify(document, undefined, 2)}\n`);
  }
  if (unread.length > 0) session.tell(texts.unread(input, unread.join(", ")));
  if (isRounded) session.tell(texts.rounded(device));
  session.tell(texts.done(selector, device, formatDuration(timeMs), output));
  session.next("inspect", output);
}

function readSpec(selector: string, parts: SelectedParts): ReturnType<typeof completeSelector> {
  if (parts.patterns.length === 0) throw new CommandError("missing-pattern", texts.missingPattern(selector));
  if (parts.position?.place === "embedding") {
    throw new CommandError("position-outside", texts.positionOutside(parts.position.name));
  }
  return completeSelector(parts, {});
}

/** A device is loaded only where it is asked for: jax-js takes longer to load than a small attention takes. */
async function openDevice(name: "jax" | "wasm"): Promise<Device> {
  return onBackend(name === "jax" ? await openJax() : await openWasm());
}

/** By device and inode where both are there, so that links to one file are seen. */
async function requireOtherFile(input: string, output: string): Promise<void> {
  const folder = dirname(output);
  const isFolder = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) throw new CommandError("file-write", texts.noFolder(output), exitCodes.missing);
  const [from, to] = await Promise.all([input, output].map((path) => identity(path)));
  if (from !== undefined && from === to) throw new CommandError("output-is-input", texts.sameFile(output));
}

async function identity(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await stat(await realpath(path));
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

function withOptions(
  inputs: AttentionInputs,
  { offset, keyLengths }: Pick<AttendOptions, "offset" | "keyLengths">,
): AttentionInputs {
  if (keyLengths !== undefined && inputs.keyLengths !== undefined) {
    throw new CommandError("key-lengths", texts.lengthsTwice);
  }
  return {
    ...inputs,
    ...(offset === undefined ? {} : { offset }),
    ...(keyLengths === undefined ? {} : { keyLengths }),
  };
}

/** Scores and weights in F64, and one array as long while a row of them is made: a small file can ask for any size. */
const bytesPerPair = 24;

function requireMemory(inputs: AttentionInputs): void {
  const { batch, heads, queries, keys } = checkInputs(inputs);
  const pairs = batch * heads * queries * keys;
  const neededBytes = pairs * bytesPerPair;
  if (neededBytes <= totalmem()) return;
  throw new CommandError(
    "attend-memory",
    texts.tooLarge(printQuantity(pairs), formatBytes(neededBytes), formatBytes(totalmem())),
  );
}
