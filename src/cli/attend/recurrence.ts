/** @file `attend` with a rule of the recurrent class: its inputs by their names in the file, on the f64 reference or the fused kernels. */
import { totalmem } from "node:os";
import { initialValues, resolveValues } from "../../attention/parameters.ts";
import { formatBytes } from "../../compare/format.ts";
import {
  causal,
  full,
  type InputName,
  narrow,
  printRecurrence,
  recurrence,
  recurrenceBackward,
  type RecurrenceComposition,
  recurrenceForward,
  type RecurrenceGradients,
  type RecurrenceInputs,
  requireFinite,
  type RuleCall,
  type Tensor,
  type Tensor64,
} from "../../index.ts";
import { openSafetensors } from "../../checkpoints/safetensors-file.node.ts";
import { gradientName } from "../../recurrence/backend.ts";
import { checkCall } from "../../recurrence/check-call.ts";
import { requireOnEngine } from "../../kernels/wasm/recurrence/lifted-recurrence.ts";
import { narrowState } from "../../recurrence/rule.ts";
import { CommandError } from "../command-error.ts";
import { texts } from "../dictionary/attend.ts";
import { exitCodes } from "../exit-codes.ts";
import { fileNameOf } from "./file-names.ts";
import { type AttendOptions } from "./options.ts";
import { readNumbers } from "./read-inputs.ts";
import { type Results } from "./devices.ts";

type AnyTensor = Tensor | Tensor64;

/** What one `attend` computed. */
export interface RecurrenceResults {
  readonly selector: string;
  readonly results: Results;
  readonly timeMs: number;
  /** Tensors of the file that nothing was done with. */
  readonly unread: readonly string[];
  /** Whether F64 inputs were rounded. */
  readonly isRounded: boolean;
}

/** Computes a recurrence on the tensors of a file. */
export async function attendRecurrence(
  composition: RecurrenceComposition,
  options: AttendOptions,
): Promise<RecurrenceResults> {
  const selector = printRecurrence(composition);
  const { rule } = composition;
  requireOptions(composition, selector, options);
  if (options.device === "wasm") requireOnEngine(rule);
  const file = await readFile(composition, options.in, options.backward ?? false);
  const hasDouble = ["q", "k", "v"].some((name) => file.inputs[name as "k"]?.data instanceof Float64Array);
  const isDouble = hasDouble && options.device === "reference";
  const { offset } = options;
  const call = checkCall(composition, file.inputs, offset);
  requireMemory(composition, call);
  const drawn = initialValues(rule.parameters, call.sizes, options.seed);
  const values = resolveValues(rule.parameters, call.sizes, { ...drawn, ...file.inputs.parameters });
  const parameters: Record<string, AnyTensor> = isDouble ? values : narrowAll(values);
  const inputs: RecurrenceInputs<AnyTensor> = { ...file.inputs, parameters };
  const job: Job = { composition, inputs, offset, dOut: file.dOut, dState: file.dState, isDouble };
  for (const [name, tensor] of Object.entries({ dOut: file.dOut, dState: file.dState })) {
    if (tensor !== undefined) requireFinite(name, tensor);
  }
  const device = options.device === "wasm" ? await openKernels(composition) : onReference;
  const startMs = performance.now();
  const results = await device(job);
  for (const [name, tensor] of Object.entries(results)) requireFinite(name, tensor);
  const timeMs = performance.now() - startMs;
  for (const [name, value] of Object.entries(parameters)) results[`param.${name}`] = value;
  return { selector, results, timeMs, unread: file.unread, isRounded: hasDouble && !isDouble };
}

/** What a device computes. */
interface Job {
  readonly composition: RecurrenceComposition;
  /** With a value for every parameter. */
  readonly inputs: RecurrenceInputs<AnyTensor>;
  readonly offset: number | undefined;
  readonly dOut: AnyTensor | undefined;
  readonly dState: AnyTensor | undefined;
  /** Whether results stay F64. */
  readonly isDouble: boolean;
}

const onReference = async ({
  composition,
  inputs,
  offset,
  dOut,
  dState,
  isDouble,
}: Job): Promise<Results> => {
  const { out, state } = recurrenceForward(composition, inputs, undefined, offset);
  const wide: Record<string, Tensor64> = { out, state };
  if (dOut !== undefined) {
    const cotangents = { dOut, ...(dState === undefined ? {} : { dState }) };
    Object.assign(
      wide,
      gradientsByName(composition, recurrenceBackward(composition, inputs, cotangents, offset)),
    );
  }
  return isDouble ? wide : { ...narrowAll(wide), state: narrowState(composition.rule, state) };
};

/** The fused kernels on all cores, where they know the rule. */
async function openKernels(composition: RecurrenceComposition): Promise<(job: Job) => Promise<Results>> {
  const { nodeEngine } = await import("../../kernels/wasm/engine/pool.node.ts");
  const { wasmRecurrenceBackend } = await import("../../kernels/wasm/index.ts");
  const { whole, ...spec } = composition;
  const recur = recurrence(
    { ...spec, pattern: whole ? full() : causal() },
    { backend: wasmRecurrenceBackend(nodeEngine()) },
  );
  return async ({ inputs, offset, dOut, dState }) => {
    const { parameters = {}, ...tensors } = inputs;
    const call = {
      ...(narrowAll(tensors) as unknown as RecurrenceInputs<Tensor>),
      parameters: narrowAll(parameters),
      enableGqa: true,
      ...(offset === undefined ? {} : { offset }),
    };
    const { out, state } = await recur(call);
    if (dOut === undefined) return { out, state };
    const cotangents = {
      dOut: narrow(dOut),
      ...(dState === undefined ? {} : { dState: narrow(dState) }),
    };
    return {
      out,
      state,
      ...gradientsByName(composition, await recur.backward({ ...call, ...cotangents })),
    };
  };
}

/** Gradients by their name in the output file. */
function gradientsByName<T>(
  { rule }: RecurrenceComposition,
  { dParameters, ...gradients }: RecurrenceGradients<T>,
): Record<string, T> {
  const named: Record<string, T> = {};
  for (const { name } of rule.inputs) {
    const gradient = (gradients as Partial<Record<string, T>>)[gradientName(name)];
    if (gradient !== undefined) named[`d${fileNameOf(name)}`] = gradient;
  }
  for (const [name, gradient] of Object.entries(dParameters)) named[`dparam.${name}`] = gradient;
  return named;
}

interface FileInputs {
  readonly inputs: RecurrenceInputs<AnyTensor>;
  readonly dOut: AnyTensor | undefined;
  readonly dState: AnyTensor | undefined;
  readonly unread: readonly string[];
}

async function readFile(
  { rule }: RecurrenceComposition,
  path: string,
  backward: boolean,
): Promise<FileInputs> {
  const file = await openSafetensors(path);
  try {
    const names = [...file.entries.keys()];
    if (backward && !names.includes("dout")) {
      throw new CommandError("safetensors-name", texts.noGradient(path), exitCodes.missing);
    }
    const read = new Set<string>();
    const take = async (name: string): Promise<AnyTensor> => {
      read.add(name);
      return readNumbers(file, name);
    };
    const tensors: Partial<Record<InputName, AnyTensor>> = {};
    for (const { name } of rule.inputs) {
      if (names.includes(fileNameOf(name))) tensors[name] = await take(fileNameOf(name));
    }
    const parameters: Record<string, AnyTensor> = {};
    for (const name of names.filter((given) => given.startsWith("param."))) {
      parameters[name.slice("param.".length)] = await take(name);
    }
    const dOut = backward ? await take("dout") : undefined;
    const dState = backward && names.includes("dstate") ? await take("dstate") : undefined;
    return {
      // What is missing among them, the check of the call says.
      inputs: { ...(tensors as RecurrenceInputs<AnyTensor>), parameters },
      dOut,
      dState,
      unread: names.filter((name) => !read.has(name)),
    };
  } finally {
    await file.close();
  }
}

/** Refuses options that mean nothing without pairs. */
function requireOptions(
  { rule: { lift }, position }: RecurrenceComposition,
  selector: string,
  options: AttendOptions,
): void {
  if (options.device === "jax") {
    throw new CommandError(
      "device-recurrence",
      lift === undefined ? texts.referenceAlone(selector) : texts.noDevice(selector),
      exitCodes.noBackend,
    );
  }
  const names = {
    return: "--return",
    ...(position === undefined ? { offset: "--offset" } : {}),
    keyLengths: "--key-lengths",
    scale: "--scale",
  } as const;
  for (const [key, flag] of Object.entries(names)) {
    if (options[key as keyof AttendOptions] === undefined) continue;
    throw new CommandError("recurrence-option", texts.pairOption(selector, flag));
  }
}

/** F64 numbers of a token's features that are held at once: features, gradients, logarithms and decays of q and k. */
const heldPerFeature = 12;

function requireMemory({ rule }: RecurrenceComposition, { sizes }: RuleCall): void {
  const [batch = 1, heads = 1, rows = 1, columns = 1] = rule.stateShape(sizes);
  // Of states, those of 64 tokens are held in a backward pass.
  const neededBytes = 8 * (batch * heads * sizes.tokens * rows * heldPerFeature + 64 * rows * columns);
  if (neededBytes <= totalmem()) return;
  throw new CommandError(
    "attend-memory",
    texts.recurrenceTooLarge(formatBytes(neededBytes), formatBytes(totalmem())),
  );
}

function narrowAll(tensors: Readonly<Record<string, AnyTensor>>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, narrow(tensor)]));
}
