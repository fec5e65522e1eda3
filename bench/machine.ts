/** @file What the numbers were measured on. */
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";

/** The machine, as it was before the benchmark began. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGB: number;
  readonly node: string;
  readonly platform: string;
  /** Mean number of running processes in the last minute: 0 on a quiet machine. */
  readonly load: number;
}

/** Looks the machine over. */
export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    load: Number(loadavg()[0]?.toFixed(2)),
  };
}
