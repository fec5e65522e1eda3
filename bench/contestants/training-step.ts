/** @file The step that is timed: the decoder of src/models on random tokens, with the optimiser of src/train. */
import { blockUntilReady, numpy as np } from "@jax-js/jax";
import { random } from "../../src/index.ts";
import { Tape } from "../../src/autodiff/index.ts";
import { type WasmEngine } from "../../src/kernels/wasm/index.ts";
import { decoder } from "../../src/models/index.ts";
import { adamW } from "../../src/train/optimiser.ts";
import { type TrainingProblem } from "../protocol.ts";
import { type Prepared } from "./serve.ts";

const learningRate = 1e-3;

export async function prepareTraining(
  { vocabulary, width, layers, heads, batch, length }: TrainingProblem,
  engine: WasmEngine | undefined,
): Promise<Prepared> {
  const model = decoder(
    { vocabulary, width, layers, heads, attention: "dot+rope+causal", maximumLength: length },
    { engine },
  );
  let arrays = Object.fromEntries(
    model.parameters.map(({ name, initial }) => {
      const { data, shape } = initial(0);
      return [name, np.array(data, { shape: [...shape] })];
    }),
  );
  const stream = random("bench", "training");
  const draw = (): Int32Array =>
    Int32Array.from({ length: batch * length }, () => stream.integer(vocabulary));
  const [tokens, targets] = [draw(), draw()];
  const optimiser = adamW(model.parameters);
  let firstLoss: number | undefined;
  const step = async (): Promise<void> => {
    const tape = new Tape();
    const loss = await model.loss(tape, arrays, { tokens, targets, batch });
    const [value] = await loss.read();
    firstLoss ??= value;
    const gradients = await tape.backward(loss);
    const next = await optimiser.step(arrays, gradients, learningRate);
    await blockUntilReady(Object.values(next.parameters));
    arrays = next.parameters;
    tape.dispose();
  };
  return {
    run: step,
    read: () => ({}),
    facts: () => ({ loss: firstLoss! }),
    release: () => {
      for (const array of Object.values(arrays)) array.dispose();
      optimiser.dispose();
      model.dispose();
    },
  };
}
