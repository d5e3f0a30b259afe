/**
 * @module base/for_each: works through a sequence with a bounded number of hands, keeping
 * nothing of what is done (p-map keeps every result, which grows with the data set).
 */

/**
 * Calls `work` for each item, at most `concurrency` at once, starting in the sequence's order.
 * An item is taken from the sequence only when a hand is free.
 *
 * @throws The first error of `work` or the sequence, after every call under way has ended.
 */
export async function forEachConcurrent<T>(
  items: AsyncIterable<T> | Iterable<T>,
  concurrency: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const sequence = Symbol.asyncIterator in items
    ? items[Symbol.asyncIterator]()
    : items[Symbol.iterator]();
  let failed: { readonly error: unknown } | undefined;
  // A call of its own for each item: a function that waits for its next item may keep the last one
  // in memory, and hundreds of hands hundreds of them.
  const takeOne = async (): Promise<boolean> => {
    try {
      const { done, value } = await sequence.next();
      if (done) return false;
      await work(value);
    } catch (error) {
      failed ??= { error };
    }
    return true;
  };
  const hand = async () => {
    while (!failed && await takeOne());
  };
  await Promise.all(Array.from({ length: concurrency }, hand));
  if (failed) {
    await sequence.return?.();
    throw failed.error;
  }
}
