/** @file Checkpoints, as far as they run anywhere; what touches a disk is in the `*.node.ts` files beside this one. */
export type { SafetensorsArray, SafetensorsDtype } from "./dtypes.ts";
export { encodeSafetensors } from "./encode.ts";
export type { Named, WritableTensor } from "./encode.ts";
export { parseSafetensorsHeader, safetensorsHeaderLength } from "./header.ts";
export type { SafetensorsEntry, SafetensorsHeader } from "./header.ts";
export { decodeSafetensors, decodeTensor, toFloat32 } from "./safetensors.ts";
export type { SafetensorsContents, StoredTensor } from "./safetensors.ts";
export { memoryWeights } from "./memory-weights.ts";
export type { QuantisedMatrix } from "../base/quantised-matrix.ts";
export type { WeightDescription, WeightSource } from "./weight-source.ts";
