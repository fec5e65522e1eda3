import { encodeSafetensors, parseSafetensorsHeader } from "qklab/checkpoints";
const bytes = encodeSafetensors({ q: { data: new Float32Array(6), shape: [2, 3] } });
checkPromise(parseSafetensorsHeader(bytes).entries.get("q")?.shape, "[2, 3]"); // [2, 3]
