import { expect, test } from "vitest";
import { DomainError, MissingError, NumbersError, ShapeError, UnsupportedError } from "../base/index.ts";
import { CommandError } from "./command-error.ts";
import { exitCodeOf } from "./exit-codes.ts";

test.each([
  [new ShapeError("attention-shape", ""), 2],
  [new DomainError("unknown-part", ""), 2],
  [new UnsupportedError("clash-position", ""), 2],
  [new UnsupportedError("backend-webgpu", ""), 4],
  [new UnsupportedError("device", ""), 4],
  [new UnsupportedError("safetensors-memory", ""), 3],
  [new DomainError("safetensors-offsets", ""), 3],
  [new ShapeError("safetensors-span", ""), 3],
  [new DomainError("onnx-length", ""), 3],
  [new DomainError("llama2c-header", ""), 3],
  [new DomainError("index-tensor", ""), 3],
  [new DomainError("weight-unknown", ""), 2],
  [new MissingError("package-missing", ""), 3],
  [new NumbersError("not-finite", ""), 5],
  [new CommandError("device", { en: "", zh: "" }, 4), 4],
  [Object.assign(new Error("EACCES"), { code: "EACCES", syscall: "mkdir", path: "/x" }), 3],
  [new TypeError("a mistake of ours"), 1],
  ["thrown text", 1],
])("%o ends in exit code %d", (error, code) => {
  expect(exitCodeOf(error)).toBe(code);
});
