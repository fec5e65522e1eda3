/** @file One `emit`: the kernel of a selector of either class as text or bytes, to stdout or a file, or a document about it. */
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { completeSelector, compose, printSelector, type SelectedParts } from "../../attention/index.ts";
import { nearestNames } from "../../base/index.ts";
import { writeFileAtomically } from "../../checkpoints/write-atomically.node.ts";
import { formatBytes } from "../../compare/format.ts";
import {
  describeFeatureMapKernel,
  describeKernel,
  describeRecurrenceKernel,
  type KernelDescription,
} from "../../kernels/wasm/index.ts";
import { parseAnySelector, printRecurrence, type RecurrenceComposition } from "../../recurrence/index.ts";
import { CommandError } from "../command-error.ts";
import { texts } from "../dictionary/emit.ts";
import { texts as valueTexts } from "../dictionary/values.ts";
import { exitCodes } from "../exit-codes.ts";
import { printJson } from "../printing.ts";
import { type Session } from "../session.ts";

/** Whose code, and in which form. */
export interface EmitOptions {
  readonly spec: string;
  readonly device: string;
  readonly width: number;
  readonly valueWidth?: number;
  readonly only?: string;
  readonly plainSimd?: boolean;
  readonly bias?: boolean;
  readonly mask?: boolean;
  readonly featureMap?: boolean;
  readonly format: "wat" | "wasm";
  readonly out?: string;
  readonly json?: boolean;
}

/** The devices of other commands, which have no kernels here. */
const withoutKernels: Readonly<Record<string, (typeof texts)["noWebgpu"]>> = {
  webgpu: texts.noWebgpu,
  jax: texts.noKernels("jax"),
  reference: texts.noKernels("reference"),
};

/** Prints the code, or the document about it; `--out` takes the code to a file. */
export async function emit(options: EmitOptions, session: Session): Promise<void> {
  const { device, format, out, json = false } = options;
  requireDevice(device);
  if (format === "wasm" && options.only !== undefined) {
    throw new CommandError("only-bytes", texts.wholeModule);
  }
  const isOnTerminal = session.terminal.tableColumns !== undefined;
  if (format === "wasm" && out === undefined && !json && isOnTerminal) {
    throw new CommandError("bytes-on-terminal", texts.terminal);
  }
  const { selector, describe, canDerive } = readSpec(options);
  const kernel = kernelOf(describe, options.only);
  const { hash, functions, text, bytes } = kernel;
  const code = format === "wasm" ? bytes : new TextEncoder().encode(text);
  if (out !== undefined) await writeFile(out, code);
  if (json) {
    await printJson(session, { selector, hash, functions, bytes: bytes.length });
  } else if (out === undefined) await session.print(code);
  session.tell(texts.done(hash, selector, functions.length, formatBytes(bytes.length)));
  session.next("inspect", selector, ...(canDerive ? ["--derivatives"] : []));
}

function requireDevice(device: string): void {
  if (device === "wasm") return;
  const reason = Object.hasOwn(withoutKernels, device) ? withoutKernels[device] : undefined;
  if (reason !== undefined) throw new CommandError("device-kernels", reason, exitCodes.noBackend);
  throw new CommandError(
    "bad-value",
    valueTexts.choice("--device", device, ["wasm"], nearestNames(device, ["wasm"], 1)),
  );
}

/** What was named, and how its kernel is made. */
interface Emitted {
  readonly selector: string;
  readonly describe: (only?: RegExp) => KernelDescription;
  /** Whether `inspect` has derivatives of it. */
  readonly canDerive: boolean;
}

function readSpec(options: EmitOptions): Emitted {
  const selected = parseAnySelector(options.spec);
  return selected.kind === "recurrence"
    ? ofRecurrence(selected.composition, options)
    : ofAttention(selected.parts, options);
}

function ofAttention(parts: SelectedParts, options: EmitOptions): Emitted {
  const { spec, width, valueWidth = width, plainSimd = false, bias = false, mask = false } = options;
  if (options.featureMap === true) throw new CommandError("only-recurrence", texts.onlyRecurrence(spec));
  if (parts.patterns.length === 0) throw new CommandError("missing-pattern", texts.missingPattern(spec));
  if (parts.position?.place === "embedding") {
    throw new CommandError("position-outside", texts.positionOutside(parts.position.name));
  }
  const composition = compose(completeSelector(parts, {}));
  const wanted = { width, valueWidth, relaxed: !plainSimd, hasBias: bias, hasMask: mask };
  return {
    selector: printSelector(composition),
    describe: (only) => describeKernel(composition, only === undefined ? wanted : { ...wanted, only }),
    canDerive: true,
  };
}

function ofRecurrence(composition: RecurrenceComposition, options: EmitOptions): Emitted {
  const { width, valueWidth, plainSimd = false, bias, mask, featureMap = false } = options;
  const describe = featureMap ? describeFeatureMapKernel : describeRecurrenceKernel;
  const selector = printRecurrence(composition);
  for (const [flag, value] of Object.entries({ "--bias": bias, "--mask": mask })) {
    if (value === true) throw new CommandError("only-attention", texts.onlyAttention(flag, selector));
  }
  const wanted = { width, relaxed: !plainSimd, ...(valueWidth === undefined ? {} : { valueWidth }) };
  return {
    selector,
    describe: (only) => describe(composition, only === undefined ? wanted : { ...wanted, only }),
    canDerive: false,
  };
}

function kernelOf(describe: Emitted["describe"], only: string | undefined): KernelDescription {
  if (only === undefined) return describe();
  const kernel = describe(readPattern(only));
  if (kernel.functions.length > 0) return kernel;
  const known = describe().functions.map(({ name }) => name);
  throw new CommandError("only-none", texts.noFunction(only, known.join(", ")));
}

function readPattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new CommandError("bad-value", texts.badPattern(text, (error as Error).message));
  }
}

async function writeFile(path: string, code: Uint8Array): Promise<void> {
  const isFolder = await stat(dirname(path)).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) throw new CommandError("file-write", texts.noFolder(path), exitCodes.missing);
  await writeFileAtomically(path, code);
}
