import { decodeSafetensors, encodeSafetensors, toFloat32 } from "qklab/checkpoints";
const bytes = encodeSafetensors({ k: { data: Float64Array.of(0.5, 2), shape: [2] } });
const k = decodeSafetensors(bytes).tensors.get("k");
if (k) toFloat32(k).data; // Float32Array [0.5, 2]
