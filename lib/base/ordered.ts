/**
 * @module base/ordered: work on a sequence with several hands at once, whose results come in the
 * sequence's order, and which keeps nothing of what was given.
 */

/**
 * Calls `work` for each item, at most `ahead` of them under way or waiting to be taken.
 *
 * @throws The first error in order, of the sequence or of `work`, after every call under way has
 * ended
 */
export async function* mapOrdered<T, R>(
  items: AsyncIterable<T>,
  ahead: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const source = items[Symbol.asyncIterator]();
  const waiting: Promise<R>[] = [];
  let ended = false;
  try {
    for (;;) {
      while (!ended && waiting.length < ahead) {
        const { done, value } = await source.next();
        if (done) {
          ended = true;
          break;
        }
        const result = work(value);
        result.catch(() => {}); // said when its turn comes
        waiting.push(result);
      }
      const first = waiting.shift();
      if (first === undefined) return;
      yield await first;
    }
  } finally {
    await Promise.allSettled(waiting);
    if (!ended) await source.return?.();
  }
}
