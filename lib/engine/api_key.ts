/**
 * @module engine/api_key: the API key of a run, which may change while the run goes on: a key that
 * lies in a secret is read again when the API refuses it. Where keys come from is
 * `engine/access.ts`'s matter, what counts as a refusal the engine's.
 */

/** What became of a refused key. */
export type Renewal =
  /** There is another one to ask with. */
  | { readonly renewed: true }
  /** There is none; `why`, where there is something to say, is for people and never holds a key. */
  | { readonly renewed: false; readonly why?: string };

/** The key that requests are sent with. */
export interface ApiKey {
  /** The key to send now. */
  readonly value: string;
  /** The last look for another key; a request that is sent now is sent after it. */
  readonly look?: unknown;
  /**
   * The API has taken this key: should it refuse it later, somebody has changed it since.
   *
   * @param look What {@linkcode look} was when the request was sent.
   */
  accepted(key: string, look?: unknown): void;
  /**
   * Looks for another key after the API has refused one. Callers whose requests were refused
   * together share one look.
   *
   * @throws {RunError} if the key's source can't be read
   * @throws The signal's reason, if it aborts first.
   */
  renew(refused: string, signal: AbortSignal): Promise<Renewal>;
}

/** A key that stays what it is. */
export function fixedKey(value: string): ApiKey {
  return { value, accepted() {}, renew: () => Promise.resolve({ renewed: false }) };
}

/**
 * Keys that are read again from where they came from, together: one that is refused gives way to
 * one that none of the others is.
 *
 * @param source What holds them, in words for a message.
 * @param read Reads all of them again; its errors pass to whoever renews.
 */
export function storedKeys(
  values: readonly [string, ...string[]],
  source: string,
  read: () => Promise<readonly string[]>,
): readonly [ApiKey, ...ApiKey[]] {
  const keys: StoredKey[] = [];
  const another = async (refused: string) => {
    const found = await read();
    const taken = new Set(keys.map(({ value }) => value).filter((value) => value !== refused));
    return found.find((value) => value !== refused && !taken.has(value)) ??
      found.find((value) => value === refused);
  };
  for (const value of values) keys.push(new StoredKey(value, source, another));
  return keys as unknown as readonly [ApiKey, ...ApiKey[]];
}

/** A key that is read again from where it came from. */
export class StoredKey implements ApiKey {
  readonly #source: string;
  readonly #read: (refused: string) => Promise<string | undefined>;
  #value: string;
  /** The key was read after a refusal and has not been taken yet. */
  #untried = false;
  /** The last look, and the key that it was for: each refused key is looked up once. */
  #look: { readonly refused: string; readonly renewal: Promise<Renewal> } | undefined;

  /**
   * Begins with a key that has just been read.
   *
   * @param source What holds the key, in words for a message.
   * @param read Reads what stands in its place now, if anything does; its errors pass to whoever
   *   renews.
   */
  constructor(
    value: string,
    source: string,
    read: (refused: string) => Promise<string | undefined>,
  ) {
    this.#value = value;
    this.#source = source;
    this.#read = read;
  }

  /** The key to send now. */
  get value(): string {
    return this.#value;
  }

  /** The last look for another key. */
  get look(): unknown {
    return this.#look;
  }

  /**
   * Ends the trial of a key that was read after a refusal. A key that is taken after a look for
   * another one was refused for some other reason than being changed, so a later refusal is looked
   * into anew.
   *
   * @param key The key that was taken.
   * @param look What {@linkcode look} was when the request was sent.
   */
  accepted(key: string, look?: unknown): void {
    if (key !== this.#value) return;
    this.#untried = false;
    if (look !== undefined && look === this.#look) this.#look = undefined;
  }

  /**
   * Reads the key again: once for each refused key, and not for one that was itself read after a
   * refusal and never taken since.
   *
   * @throws Whatever `read` throws, or the signal's reason, if it aborts first.
   */
  async renew(refused: string, signal: AbortSignal): Promise<Renewal> {
    signal.throwIfAborted();
    // The request was on its way while others renewed the key.
    if (refused !== this.#value) return { renewed: true };
    // A source that gives another bad key each time would keep the run asking for ever.
    if (this.#untried) {
      return { renewed: false, why: `it is the new key that ${this.#source} was found to hold` };
    }
    if (this.#look?.refused !== refused) {
      this.#look = { refused, renewal: this.#lookUp(refused) };
    }
    return await unlessAborted(this.#look.renewal, signal);
  }

  async #lookUp(refused: string): Promise<Renewal> {
    const value = await this.#read(refused);
    if (value === undefined) return { renewed: false, why: `${this.#source} holds no other key` };
    if (value === refused) return { renewed: false, why: `${this.#source} still holds that key` };
    this.#value = value;
    this.#untried = true;
    return { renewed: true };
  }
}

/** Waits for work that can't be aborted itself. @throws The signal's reason, if it aborts first. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
