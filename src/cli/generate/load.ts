/** @file Opens and loads the model of a command, and says how far it has come. */
import type { ReadAdapter } from "../../language/adapter.node.ts";
import type { LanguageModel } from "../../language/open-model.node.ts";
import type { LoadOptions, TextModel } from "../../language/index.ts";
import { formatBytes, formatDuration } from "../../compare/format.ts";
import { startJax } from "../../kernels/jax/start.ts";
import { CommandError } from "../command-error.ts";
import { texts } from "../dictionary/generate.ts";
import { openProgress } from "../progress/progress.ts";
import { type Session } from "../session.ts";
import { type GenerateFlags } from "./options.ts";

type ModelFlags = Pick<
  GenerateFlags,
  "model" | "attention" | "adapter" | "layers" | "heads" | "device" | "threads"
>;

/** Opens the model by its name; where it is fetched, progress goes to stderr. */
export async function openModel(
  { model: name, device, threads }: Pick<ModelFlags, "model" | "device" | "threads">,
  session: Session,
  signal: AbortSignal,
): Promise<LanguageModel> {
  // jax-js decides for its threads when it is loaded, and models load it.
  await startJax({ threads: device === "jax" ? (threads ?? 1) : 1 });
  const { openLanguageModel } = await import("../../language/open-model.node.ts");
  const progress = openProgress(session);
  const begun = new Map<string, { readonly timeMs: number; readonly bytes: number }>();
  try {
    const model = await openLanguageModel(name, {
      signal,
      onProgress: ({ file, receivedBytes, totalBytes }) => {
        const nowMs = performance.now();
        const start = begun.get(file) ?? { timeMs: nowMs, bytes: receivedBytes };
        begun.set(file, start);
        const rate = (1000 * (receivedBytes - start.bytes)) / Math.max(1, nowMs - start.timeMs);
        progress.update(file, {
          label: file,
          step: receivedBytes,
          steps: totalBytes,
          amount: `${formatBytes(receivedBytes)} / ${formatBytes(totalBytes)}`,
          itemsPerSecond: rate,
          unit: "B",
          timeLeftMs: rate > 0 ? (1000 * (totalBytes - receivedBytes)) / rate : Infinity,
        });
        if (receivedBytes === totalBytes) progress.remove(file);
      },
    });
    if (model.unreachable !== undefined) session.tell(texts.fromCache(model.unreachable));
    return model;
  } finally {
    progress.close();
  }
}

/** What the flags change in a model, and what computes it. */
export async function readLoadOptions(model: LanguageModel, flags: ModelFlags): Promise<LoadOptions> {
  const adapter = await adapterOf(model, flags);
  const attention = adapter?.attention ?? (await attentionOf(model, flags));
  const { nodeEngine } = await import("../../kernels/wasm/engine/pool.node.ts");
  const { threads } = flags;
  return {
    engine: flags.device === "jax" ? undefined : nodeEngine(threads === undefined ? {} : { threads }),
    ...(attention === undefined ? {} : { attention }),
    ...(adapter === undefined ? {} : { tensors: adapter.tensors }),
  };
}

/** Loads the model with the attention that was asked for. */
export async function loadTexts(
  model: LanguageModel,
  flags: ModelFlags,
  session: Session,
  given?: LoadOptions,
): Promise<TextModel> {
  const startMs = performance.now();
  const options = given ?? (await readLoadOptions(model, flags));
  const { attention } = options;
  const loaded = await model.texts(options);
  const { name, layers, width } = { ...model.layout, ...model.layout.config };
  session.tell(texts.loaded(model.name, name, layers, width, formatDuration(performance.now() - startMs)));
  if (loaded.byStages !== undefined) session.tell(texts.byStages(loaded.byStages));
  if (flags.adapter !== undefined) session.tell(texts.adapted(flags.adapter, attention));
  if (flags.attention !== undefined) session.tell(texts.swapped(flags.attention, attention));
  return loaded;
}

/** What `distil` has taught the model, where its folder is named. */
async function adapterOf(
  { name, layout, source }: LanguageModel,
  { adapter, attention }: ModelFlags,
): Promise<ReadAdapter | undefined> {
  if (adapter === undefined) return undefined;
  if (attention !== undefined) throw new CommandError("two-attentions", texts.twoAttentions);
  const { readAdapter } = await import("../../language/adapter.node.ts");
  return readAdapter(adapter, { name, layout, source });
}

/** The attentions in place of the model's own; undefined where it keeps them. */
async function attentionOf(
  { layout }: LanguageModel,
  { attention: selector, layers, heads }: ModelFlags,
): Promise<ReturnType<typeof swapAttention> | undefined> {
  if (selector === undefined) {
    if (layers === undefined && heads === undefined) return undefined;
    throw new CommandError(
      "attention-alone",
      texts.placesAlone(layers === undefined ? "--heads" : "--layers"),
    );
  }
  const { decoder } = await import("../../models/index.ts");
  const { swapAttention } = await import("../../language/index.ts");
  const own = decoder(layout.config);
  const { groups } = own.config;
  own.dispose();
  return swapAttention(groups, {
    selector,
    ...(layers === undefined ? {} : { layers }),
    ...(heads === undefined ? {} : { heads }),
  });
}
