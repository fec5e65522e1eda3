/** @file From a model's run on the tape and its two last stages to the whole of what a {@link Model} offers. */
import { type Operation, Tape, Value } from "../autodiff/index.ts";
import {
  countParameters,
  type LossInputs,
  type Model,
  type ModelArrays,
  type ModelParameter,
} from "./model.ts";
import { calibrationObserver, type LayerObserver, statisticsObserver } from "./observe-scores.ts";

/** Values on the tape, by name. */
export type Values = Readonly<Record<string, Value>>;

/** What comes before a model's last stage. */
export interface ModelRun {
  /** What the last stage reads. */
  readonly inputs: Values;
  /** Scalars that join the loss. */
  readonly balances?: readonly Value[];
}

/** What differs from model to model. */
export interface ModelParts<Batch> {
  readonly parameters: readonly ModelParameter[];
  /** Runs everything before the last stage. `values` are the parameters. */
  readonly run: (tape: Tape, values: Values, batch: Batch, observe?: LayerObserver) => Promise<ModelRun>;
  /** The mean loss of the labels, by the last stage, and all that joins it. */
  readonly loss: (tape: Tape, inputs: Values, balances: readonly Value[]) => Promise<Value>;
  /** `losses` and `predicted` of every label. */
  readonly labelsOperation: Operation<string, "losses" | "predicted">;
  readonly stateBytes: (length: number) => number;
  /** Further operations and layers. */
  readonly owned: readonly { dispose(): void }[];
}

/** Makes the model. */
export function assembleModel<Batch>(parts: ModelParts<Batch>): Model<Batch> {
  const { parameters, run, loss, labelsOperation, stateBytes, owned } = parts;
  return {
    parameters,
    parameterCount: countParameters(parameters),
    async loss(tape, arrays, batch) {
      const { inputs, balances = [] } = await run(tape, valuesOn(tape, arrays), batch);
      return loss(tape, inputs, balances);
    },
    evaluate: (arrays, batch) =>
      withoutGradient(arrays, async (tape, values) => {
        const { inputs } = await run(tape, values, batch);
        const { losses, predicted } = await tape.run(labelsOperation, inputs);
        return {
          losses: (await losses.read()) as Float32Array,
          predicted: (await predicted.read()) as Int32Array,
        };
      }),
    calibrate: (arrays, batch) =>
      withoutGradient(arrays, async (tape, values) => {
        const { observe, held } = calibrationObserver();
        await run(tape, values, batch, observe);
        return held;
      }),
    measureScores: (arrays, batch) =>
      withoutGradient(arrays, async (tape, values) => {
        const { observe, statistics } = statisticsObserver();
        await run(tape, values, batch, observe);
        return statistics();
      }),
    stateBytes,
    dispose: () => [labelsOperation, ...owned].forEach((own) => own.dispose()),
  };
}

/** Runs something on a tape that keeps nothing for backward. */
export async function withoutGradient<Result>(
  arrays: ModelArrays,
  use: (tape: Tape, values: Values) => Promise<Result>,
): Promise<Result> {
  const tape = new Tape({ gradient: false });
  try {
    return await use(tape, valuesOn(tape, arrays));
  } finally {
    tape.dispose();
  }
}

/** Some of the values. */
export function pick(values: Values, names: readonly string[]): Values {
  return Object.fromEntries(names.map((name) => [name, values[name]]));
}

function valuesOn(tape: Tape, arrays: LossInputs): Values {
  return Object.fromEntries(
    Object.entries(arrays).map(([name, array]) => [
      name,
      array instanceof Value ? array : tape.parameter(name, array),
    ]),
  );
}
