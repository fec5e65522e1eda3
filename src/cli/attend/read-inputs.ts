/** @file The input file of `attend`: which tensors it may hold, and how their element types are taken. */
import { type AttentionInputs, type Tensor, type Tensor64 } from "../../index.ts";
import { type StoredTensor, toFloat32 } from "../../checkpoints/index.ts";
import { openSafetensors, type SafetensorsFile } from "../../checkpoints/safetensors-file.node.ts";
import { CommandError } from "../command-error.ts";
import { texts } from "../dictionary/attend.ts";
import { exitCodes } from "../exit-codes.ts";

type AnyTensor = Tensor | Tensor64;

/** What `attend` computes from. */
export interface FileInputs {
  readonly inputs: AttentionInputs<AnyTensor>;
  readonly dOut: AnyTensor | undefined;
  /** Whether q, k or v came as F64. */
  readonly isDouble: boolean;
  /** Tensors of the file that nothing was done with. */
  readonly unread: readonly string[];
}

const parameterPrefix = "param.";

/**
 * Reads what an attention needs; other tensors are left on the disk.
 *
 * @throws MissingError, DomainError, ShapeError for files that are absent or malformed; CommandError for wrong dtypes
 */
export async function readInputs(path: string, wanted: { readonly backward: boolean }): Promise<FileInputs> {
  const file = await openSafetensors(path);
  try {
    const has = (name: string): boolean => file.entries.has(name);
    if (wanted.backward && !has("dout")) {
      throw new CommandError("safetensors-name", texts.noGradient(path), exitCodes.missing);
    }
    const [q, k, v] = [
      await readNumbers(file, "q"),
      await readNumbers(file, "k"),
      await readNumbers(file, "v"),
    ];
    const dOut = wanted.backward ? await readNumbers(file, "dout") : undefined;
    const parameterNames = [...file.entries.keys()].filter((name) => name.startsWith(parameterPrefix));
    const parameters: Record<string, AnyTensor> = {};
    for (const name of parameterNames)
      parameters[name.slice(parameterPrefix.length)] = await readNumbers(file, name);
    const read = new Set(["q", "k", "v", "bias", "mask", "key_lengths", ...parameterNames]);
    if (wanted.backward) read.add("dout");
    return {
      inputs: {
        q,
        k,
        v,
        ...(has("bias") ? { bias: await readNumbers(file, "bias") } : {}),
        ...(has("mask") ? { mask: await readMask(file) } : {}),
        ...(has("key_lengths") ? { keyLengths: await readLengths(file) } : {}),
        parameters,
      },
      dOut,
      isDouble: [q, k, v].some(({ data }) => data instanceof Float64Array),
      unread: [...file.entries.keys()].filter((name) => !read.has(name)),
    };
  } finally {
    await file.close();
  }
}

const floats: ReadonlySet<string> = new Set(["F64", "F32", "F16", "BF16"]);
const integers: ReadonlySet<string> = new Set(["I64", "U64", "I32", "U32", "I16", "U16", "I8", "U8"]);

/** A tensor of floating-point numbers; F16 and BF16 become F32. */
export async function readNumbers(file: SafetensorsFile, name: string): Promise<AnyTensor> {
  const stored = await readTyped(file, name, floats, "F64, F32, F16 or BF16");
  return stored.data instanceof Float64Array ? { data: stored.data, shape: stored.shape } : toFloat32(stored);
}

async function readMask(file: SafetensorsFile): Promise<{ data: Uint8Array; shape: readonly number[] }> {
  const { data, shape } = await readTyped(file, "mask", new Set(["U8", "BOOL"]), "U8 or BOOL");
  return { data: data as Uint8Array, shape };
}

async function readLengths(file: SafetensorsFile): Promise<number[]> {
  const { data, shape } = await readTyped(file, "key_lengths", integers, "an integer type");
  if (shape.length !== 1) throw new CommandError("key-lengths", texts.lengthsShape(shape.join(", ")));
  return Array.from<number | bigint, number>(data, Number);
}

/** The type is held against the header before the data are read. */
async function readTyped(
  file: SafetensorsFile,
  name: string,
  dtypes: ReadonlySet<string>,
  allowed: string,
): Promise<StoredTensor> {
  const dtype = file.entries.get(name)?.dtype;
  if (dtype !== undefined && !dtypes.has(dtype)) {
    throw new CommandError("attend-dtype", texts.dtype(name, allowed, dtype));
  }
  return file.read(name);
}
