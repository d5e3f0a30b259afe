/**
 * @module store/caller_errors: keeps errors of the caller's own code apart from those of a store.
 *
 * `admit` and the iterator of `writeParts` are called in the middle of an operation whose errors
 * are translated; theirs must come out as they went in.
 */

/** Wraps what the caller's own code threw, on its way through a store. */
export class FromCaller {
  /** What was thrown. */
  readonly error: unknown;

  /** Wraps an error. */
  constructor(error: unknown) {
    this.error = error;
  }
}

/** Calls the caller's code; what it throws, at once or later, comes as {@linkcode FromCaller}. */
export async function fromCaller<T>(code: () => Promise<T>): Promise<T> {
  try {
    return await code();
  } catch (error) {
    throw new FromCaller(error);
  }
}

/** The same items; what their iterator throws comes as {@linkcode FromCaller}. */
export async function* eachFromCaller<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]();
  let done: boolean | undefined = false;
  try {
    while (true) {
      const next = await fromCaller(() => iterator.next()).catch((error) => {
        done = true;
        throw error;
      });
      done = next.done;
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // Lets a generator that was left half consumed run its `finally`.
    if (!done) await iterator.return?.();
  }
}
