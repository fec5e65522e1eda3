/** Adds the iterator helpers to the global object; core-js has no types of its own. */
declare module "core-js/actual/iterator/index.js";
