import { encodeSafetensors } from "qklab/checkpoints";
const bytes = encodeSafetensors({ w: { data: Float32Array.of(1, 2), shape: [2, 1] } }, { step: "100" });
checkPromise(bytes.length % 8, "0"); // 0
