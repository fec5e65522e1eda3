/** @file `inspect FILE.safetensors`: the tensors of a file, from its header alone. */
import { widthOf } from "../../checkpoints/dtypes.ts";
import { openSafetensors } from "../../checkpoints/safetensors-file.node.ts";
import { formatBytes } from "../../compare/format.ts";
import { texts } from "../dictionary/inspect.ts";
import { type Section } from "../printing.ts";
import { columns } from "./tables.ts";

/** A file as `inspect --json` prints it. */
export interface SafetensorsDescription {
  readonly kind: "safetensors";
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: readonly {
    readonly name: string;
    readonly dtype: string;
    readonly shape: readonly number[];
    readonly sizeBytes: number;
  }[];
}

/** @throws MissingError, DomainError, ShapeError for files that are absent or malformed */
export async function describeSafetensors(path: string): Promise<SafetensorsDescription> {
  const file = await openSafetensors(path);
  await file.close();
  return {
    kind: "safetensors",
    path,
    metadata: Object.fromEntries(file.metadata),
    tensors: [...file.entries.values()].map(({ name, dtype, shape }) => ({
      name,
      dtype,
      shape,
      sizeBytes: shape.reduce((product, extent) => product * extent, widthOf(dtype)),
    })),
  };
}

/** The table of tensors, then the words stored with them. */
export function safetensorsSections({ path, metadata, tensors }: SafetensorsDescription): Section[] {
  const words = Object.entries(metadata);
  return [
    {
      title: texts.tensors(path, tensors.length),
      table: {
        columns: columns("name", "dtype", "shape", "size"),
        rows: tensors.map(({ name, dtype, shape, sizeBytes }) => ({
          name,
          dtype,
          shape: `[${shape.join(", ")}]`,
          size: formatBytes(sizeBytes),
        })),
      },
    },
    ...(words.length === 0
      ? []
      : [
          {
            title: texts.metadata,
            table: {
              columns: columns("name", "value"),
              rows: words.map(([name, value]) => ({ name, value })),
            },
          },
        ]),
  ];
}
