/**
 * @module base/halt: one signal for everything that may end the run: what happens inside it aborts
 * the controller, what happens outside is passed on to it.
 */

/** A controller that follows other signals until it is disposed. */
export interface Halt extends Disposable {
  /** Aborted by whatever comes first, with its reason. */
  readonly controller: AbortController;
  /** Its signal. */
  readonly signal: AbortSignal;
}

/** Makes a controller that follows `signals`. */
export function followSignals(...signals: readonly AbortSignal[]): Halt {
  const controller = new AbortController();
  const followed = signals.map((signal) => {
    const follow = () => controller.abort(signal.reason);
    if (signal.aborted) follow();
    signal.addEventListener("abort", follow, { once: true });
    return { signal, follow };
  });
  return {
    controller,
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const { signal, follow } of followed) signal.removeEventListener("abort", follow);
    },
  };
}
