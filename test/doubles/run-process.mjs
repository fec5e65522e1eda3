/**
 * @file Speaks as src/train/run-process.node.ts does, but trains nothing: a run is a sum over its steps. Its selector says
 * how it ends: `l1` exits, `tropical` is killed, `complex` diverges, `rbf` with seed 0 waits until it is stopped once.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";

let isStopping = false;
process.on("message", (message) => {
  if (message.kind === "stop") isStopping = true;
  if (message.kind === "start") void run(message);
});
process.on("disconnect", () => process.exit(0));

async function run({ task, selector, seed, learningRate, settings, folder }) {
  mkdirSync(folder, { recursive: true });
  const at = (name) => join(folder, name);
  rmSync(at("FAILED"), { force: true });
  const { steps } = settings;
  let { step, sum } = { step: 0, sum: seed };
  const state = { isWaiting: selector === "rbf" && seed === 0 };
  if (existsSync(at("checkpoint.json"))) {
    ({ step, sum } = JSON.parse(readFileSync(at("checkpoint.json"), "utf8")));
    state.isWaiting = false;
  }
  if (selector === "l1") {
    process.stderr.write("FATAL ERROR: out of everything\n");
    process.exit(3);
  }
  if (selector === "tropical") process.kill(process.pid, "SIGKILL");
  if (selector === "complex") {
    writeFileSync(at("FAILED"), JSON.stringify({ code: "diverged", message: "Cannot go on training" }));
    end({ kind: "failed", code: "diverged", message: "Cannot go on training" });
    return;
  }
  while (step < steps || state.isWaiting) {
    if (isStopping) {
      writeFileSync(at("checkpoint.json"), JSON.stringify({ step, sum }));
      end({ kind: "stopped" });
      return;
    }
    if (step < steps) {
      step += 1;
      sum = (sum * 31 + step * learningRate * 1000) % 997;
      process.send({ kind: "progress", step, steps, loss: sum, itemsPerSecond: 1, timeLeftMs: steps - step });
    }
    await setImmediate();
  }
  const metrics = { score: sum / 997, largestLogit: 1, entropy: 1, stateBytes: 64, parameters: 2 };
  const numbers = { validation: metrics, test: metrics, stepMs: 1, trainMs: steps, peakMemoryBytes: 1e6 };
  const summary = { task, selector, seed, learningRate, settings, steps, ...numbers };
  writeFileSync(at("metrics.jsonl"), `${JSON.stringify({ step: 0, loss: sum, items: 1, timeMs: 1 })}\n`);
  writeFileSync(at("summary.json"), JSON.stringify(summary));
  writeFileSync(at("DONE"), "");
  end({ kind: "done", summary });
}

function end(message) {
  process.send(message, () => process.disconnect());
}
