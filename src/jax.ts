/** @file `qklab/jax`: attention on jax-js, and the tape on which models are trained. */
export * from "./autodiff/index.ts";
export * from "./kernels/jax/index.ts";
