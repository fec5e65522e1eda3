declare function checkPromise(actual: unknown, written: string): void;
