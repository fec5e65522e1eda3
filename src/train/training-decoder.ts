/** @file The model that a run of a task in tokens trains, from its settings: Transformer blocks, or those of RWKV for its rules. */
import { DomainError } from "../base/errors.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { decoder, parseMixer, rwkvDecoder, rwkvRules, type TokenModel } from "../models/index.ts";
import { printRecurrence } from "../recurrence/index.ts";
import { type DecoderSettings, decoderSizes } from "./decoder-settings.ts";

/** What a run decides beside its settings. */
export interface TrainingDecoder {
  /** As it was written. */
  readonly selector: string;
  /** As it is trained, complete. */
  readonly attention: string;
  readonly vocabulary: number;
  readonly maximumLength: number;
  readonly engine?: WasmEngine | undefined;
}

/**
 * The model. An RWKV has of its settings width, layers, heads and headWidth, and no places: order enters by its state and by the token before.
 *
 * @throws DomainError `rwkv-block` for settings that blocks of RWKV do not have
 */
export function trainingDecoder(settings: DecoderSettings, run: TrainingDecoder): TokenModel {
  const { selector, attention, vocabulary, maximumLength, engine } = run;
  const rule = ruleOfRwkv(settings, selector);
  if (rule === undefined) {
    return decoder({ ...decoderSizes(settings), vocabulary, attention, maximumLength }, { engine });
  }
  requireRwkv(settings, selector);
  const { width, layers, heads, headWidth } = settings;
  const sizes = { width, layers, heads, ...(headWidth === 0 ? {} : { headWidth }) };
  return rwkvDecoder({ rule, ...sizes, vocabulary, maximumLength }, { engine });
}

/** What to know of a run's blocks; nothing where they are a Transformer's because nobody said otherwise. */
export function blockNotes(settings: DecoderSettings, selector: string): readonly string[] {
  if (settings.block === "transformer") return [];
  const rule = ruleOfRwkv(settings, selector);
  if (rule === undefined) {
    return [`'${selector}' is trained in Transformer blocks, as block=rwkv is for ${rwkvRules.join(", ")}`];
  }
  return [
    `'${rule}' is trained in its own blocks, whose token shift, LayerNorm, channel mix and head are there whatever convolution, ` +
      "norm, feedForward and tiedHead say",
  ];
}

/** The rule, where blocks of its own are asked for and exist. */
function ruleOfRwkv({ block }: DecoderSettings, selector: string): string | undefined {
  if (block === "transformer") return undefined;
  const mixer = parseMixer(selector);
  if (mixer.kind === "attention") return undefined;
  const { recurrence } = mixer;
  return rwkvRules.some((name) => name === recurrence.rule.name) ? printRecurrence(recurrence) : undefined;
}

function requireRwkv(settings: DecoderSettings, selector: string): void {
  const { heads, keyValueHeads, experts, residual, sharedQueryKey } = settings;
  const mixer = parseMixer(selector);
  const position = mixer.kind === "recurrence" ? mixer.position : undefined;
  const misfits: readonly (readonly [string, boolean])[] = [
    [`experts=${experts}`, experts !== 0],
    [`keyValueHeads=${keyValueHeads}`, keyValueHeads !== 0 && keyValueHeads !== heads],
    [`residual=${residual}`, residual !== "plain"],
    ["sharedQueryKey=true", sharedQueryKey],
    [`+${position?.name}`, position !== undefined && position.name !== "nope"],
  ];
  const misfit = misfits.find(([, isAsked]) => isAsked);
  if (misfit === undefined) return;
  throw new DomainError(
    "rwkv-block",
    `Cannot train '${selector}' in its own blocks as they have plain residuals, keys for every head, and neither experts ` +
      `nor places: ${misfit[0]}. Leave it out, or use block=transformer`,
  );
}
