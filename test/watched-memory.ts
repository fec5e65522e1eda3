/**
 * @file Watches every WebAssembly memory of a process, from before jax-js is loaded: import it first, load what makes memories inside
 * the test, and give the file a process of its own (vitest.config.ts), as in a shared one jax-js may be there already.
 */
const memories: WebAssembly.Memory[] = [];
const Original = WebAssembly.Memory;
WebAssembly.Memory = class extends Original {
  constructor(descriptor: WebAssembly.MemoryDescriptor) {
    super(descriptor);
    memories.push(this);
  }
};

/** Memories that were made. */
export const memoryCount = (): number => memories.length;

/** Bytes of all memories that were made. */
export const memoryBytes = (): number => memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
