/** @file Web Workers for the pool, from a text of their own: no file must be served beside the page. */
import { type PoolWorker, type WorkerEvents } from "./pool.ts";
import { type WorkerOrder, type WorkerReport, workerProgram } from "./pool-worker.ts";

const workerSource = `
self.onmessage = ({ data }) => {
  ${workerProgram}(data, (report) => self.postMessage(report));
  self.close();
};
`;

/** Starts one worker of a page or of a worker. Throws, or reports it gone, where the page forbids workers from texts. */
export function startWebWorker(order: WorkerOrder, events: WorkerEvents): PoolWorker {
  const address = URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" }));
  try {
    const worker = new Worker(address, { name: `qklab ${order.thread}` });
    worker.addEventListener("message", ({ data }: MessageEvent<WorkerReport>) => {
      URL.revokeObjectURL(address);
      events.heard(data);
    });
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      URL.revokeObjectURL(address);
      events.gone(event.message || "the page does not let it start");
    });
    worker.postMessage(order);
    return { end: () => worker.terminate() };
  } catch (error) {
    URL.revokeObjectURL(address);
    throw error;
  }
}
