/** @file Types for what core-js adds: the iterator helpers on the global object. core-js has none of its own. */
declare module "core-js/actual/iterator/index.js";
