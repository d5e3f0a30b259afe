/**
 * @module doubles/s3/server: a small S3 server in memory for tests, with faults on command.
 *
 * It owns the sockets, the log and the faults; what a request does to the objects is
 * `dev/doubles/s3/api.ts`. It exists because no S3 server that installs everywhere knows
 * conditional writes, and because none of them loses a reply when asked to.
 */
import { answer } from "./api.ts";
import type { DoubleObject, DoubleRequest, DoubleState, DoubleUpload } from "./types.ts";

/**
 * - `{ status, code }`: an S3 error instead of an answer, and nothing is done; with a message and
 *   headers of its own where they are given
 * - `"reset"`: the connection drops before anything is done
 * - `"reset_after"`: the request is carried out, then the connection drops: the lost reply
 * - `"short_body"`: the answer's body ends early, below its Content-Length
 * - `"stall_body"`: half of the answer's body is sent, and then nothing more
 * - `{ delayUntil }`: carried out once the promise settles
 */
export type Fault =
  | {
    readonly status: number;
    readonly code: string;
    readonly message?: string;
    readonly headers?: Readonly<Record<string, string>>;
  }
  | "reset"
  | "reset_after"
  | "short_body"
  | "stall_body"
  | { readonly delayUntil: Promise<unknown> };

/** One line of the request log. */
export interface DoubleLogEntry {
  readonly method: string;
  readonly bucket: string;
  readonly key: string;
  /** The raw query, for example `?uploads=`; `""` where there is none. */
  readonly query: string;
  /**
   * The HTTP status that was answered; 0 while it is under way and where the connection dropped.
   */
  status: number;
}

/** Options of {@linkcode startS3Double}. */
export interface S3DoubleOptions {
  /** Buckets that exist from the start. */
  readonly buckets: readonly string[];
  /** Longest page of a listing. @default 1000 */
  readonly pageSize?: number;
  /** Shortest part of a multipart upload but the last, in bytes. @default 5 MiB */
  readonly minPartSize?: number;
}

/** A running server; disposing it closes every connection. */
export interface S3Double extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** The only access key that is let in (signatures are not checked). */
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Every request in order of arrival. */
  readonly requests: DoubleLogEntry[];
  /** Bucket → key → object; tests may read and change it. */
  readonly objects: Map<string, Map<string, DoubleObject>>;
  /** Multipart uploads that are neither completed nor aborted. */
  readonly uploads: Map<string, DoubleUpload>;
  /** Asked for every request; `undefined` lets it pass. */
  fault: ((request: DoubleRequest) => Fault | undefined) | undefined;
  /** Changes an answer on its way, as a gateway would. */
  reply: ((request: DoubleRequest, response: Response) => Response) | undefined;
}

/** Starts a server on a free port of 127.0.0.1. */
export function startS3Double(options: S3DoubleOptions): Promise<S3Double> {
  const state: DoubleState = {
    objects: new Map(options.buckets.map((bucket) => [bucket, new Map()])),
    uploads: new Map(),
    accessKeyId: "DOUBLEACCESSKEY",
    pageSize: Math.min(options.pageSize ?? 1000, 1000),
    minPartSize: options.minPartSize ?? 5 * 1024 * 1024,
  };
  const front = new Front();
  const stopped = Promise.withResolvers<void>();
  const requests: DoubleLogEntry[] = [];

  const handle = async (request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>) => {
    const { path, search } = targetOf(request.url);
    const [bucket = "", ...rest] = path.slice(1).split("/");
    const seen: DoubleRequest = {
      method: request.method,
      bucket: decodeURIComponent(bucket),
      key: decodeURIComponent(rest.join("/")),
      query: new URLSearchParams(search),
      headers: request.headers,
      index: requests.length,
    };
    const { method, key } = seen;
    const entry = { method, bucket: seen.bucket, key, query: search, status: 0 };
    requests.push(entry);
    const fault = server.fault?.(seen);
    const drop = () => {
      front.drop(info.remoteAddr.port);
      return new Response(null, { status: 500 });
    };
    if (fault === "reset") return drop();
    if (typeof fault === "object" && "delayUntil" in fault) {
      await Promise.race([fault.delayUntil, stopped.promise]).catch(() => {});
    }
    const error = typeof fault === "object" && "status" in fault ? fault : undefined;
    // The body is taken in whole before anything is decided, so that a decision and its effect
    // happen in one turn of the event loop: conditional writes are atomic.
    const body = await request.bytes().catch(() => undefined);
    // The client went away in the middle of its upload.
    if (body === undefined) return drop();
    const answered = answer(state, seen, body, error);
    const response = server.reply?.(seen, answered) ?? answered;
    if (fault === "reset_after") return drop();
    entry.status = response.status;
    if (fault === "short_body") return await half(response, (body) => body.close());
    return fault === "stall_body" ? await half(response, () => {}) : response;
  };

  const inner = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
    onError: (error) => {
      console.error("s3_double:", error);
      return new Response(null, { status: 500 });
    },
  }, handle);
  const accepting = front.accept(inner.addr.port);

  const server: S3Double = {
    url: `http://127.0.0.1:${front.port}`,
    accessKeyId: state.accessKeyId,
    secretAccessKey: "doublesecret",
    requests,
    objects: state.objects,
    uploads: state.uploads,
    fault: undefined,
    reply: undefined,
    async [Symbol.asyncDispose]() {
      stopped.resolve();
      front.close();
      await accepting;
      await inner.shutdown();
    },
  };
  return Promise.resolve(server);
}

/** The target as it was sent: a URL would resolve `..`, which is a part of a key like any other. */
function targetOf(url: string): { readonly path: string; readonly search: string } {
  const [, path, search = ""] = /^\w+:\/\/[^/?]*([^?]*)(\?.*)?$/s.exec(url)!;
  return { path: path || "/", search };
}

/** The same answer, but only half of what Content-Length says is sent before `then` is called. */
async function half(
  response: Response,
  then: (body: ReadableStreamDefaultController<Uint8Array>) => void,
): Promise<Response> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  const headers = new Headers(response.headers);
  headers.set("content-length", String(bytes.length));
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes.subarray(0, bytes.length >> 1));
      then(controller);
    },
  });
  return new Response(body, { status: response.status, headers });
}

/**
 * Accepts the connections and passes their bytes on to `Deno.serve`, which itself cannot drop a
 * connection without answering.
 */
class Front {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  /** Port of our end of the inner connection → how to close both connections. */
  readonly #open = new Map<number, () => void>();

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  /** Runs until {@linkcode Front.close}, and until every connection is closed. */
  async accept(innerPort: number): Promise<void> {
    const running = new Set<Promise<void>>();
    for await (const outer of this.#listener) {
      const relay = this.#relay(outer, innerPort).finally(() => running.delete(relay));
      running.add(relay);
    }
    for (const close of this.#open.values()) close();
    await Promise.all(running);
  }

  close(): void {
    this.#listener.close();
    for (const close of this.#open.values()) close();
  }

  /** Closes the client's connection whose inner end has this port. */
  drop(port: number): void {
    this.#open.get(port)?.();
  }

  async #relay(outer: Deno.TcpConn, innerPort: number): Promise<void> {
    const inner = await Deno.connect({ hostname: "127.0.0.1", port: innerPort });
    const port = (inner.localAddr as Deno.NetAddr).port;
    outer.setNoDelay(true);
    inner.setNoDelay(true);
    let closed = false;
    const close = () => {
      if (closed) return;
      closed = true;
      outer.close();
      inner.close();
    };
    this.#open.set(port, close);
    await Promise.all([pump(outer, inner).finally(close), pump(inner, outer).finally(close)]);
    this.#open.delete(port);
  }
}

/** Copies bytes until the source ends or either side is closed. */
async function pump(from: Deno.Conn, to: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(64 * 1024);
  try {
    for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
      for (let done = 0; done < n;) done += await to.write(buffer.subarray(done, n));
    }
  } catch {
    // The other side went away, or the test asked for it.
  }
}
