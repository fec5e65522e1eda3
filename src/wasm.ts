/** @file `qklab/wasm`: attention as fused WebAssembly kernels, and the text of the code that they are. */
export * from "./kernels/wasm/index.ts";
