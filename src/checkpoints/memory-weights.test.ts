/** @file Tensors in memory as a source of weights. */
import { expect, test } from "vitest";
import { tensor } from "../base/tensor.ts";
import { memoryWeights } from "./memory-weights.ts";

test("what lies in memory is described, read, and asked for by names that are there", async () => {
  const table = tensor([1, 2, 3, 4, 5, 6], [2, 3]);
  const weights = memoryWeights({ "lm_head.weight": table }, "a draft");
  expect([...weights.tensors]).toEqual([["lm_head.weight", { shape: [2, 3], dtype: "F32" }]]);
  expect(await weights.read("lm_head.weight")).toBe(table);
  expect(await weights.readQuantised("lm_head.weight")).toBeUndefined();
  for (const ask of [weights.read, weights.readQuantised]) {
    await expect(ask("lm_heed.weight")).rejects.toThrow(expect.objectContaining({ code: "weight-unknown" }));
    await expect(ask("lm_heed.weight")).rejects.toThrow("a draft");
  }
  await weights.close();
});
