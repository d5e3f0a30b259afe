/**
 * @module doubles/ocr/listen: how every server here that stands for an OCR API listens, and ends.
 */

// node:http rather than Deno.serve: only here can an answer be cut short or a connection reset.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A server that listens. Disposing it drops all connections. */
export interface Listening extends AsyncDisposable {
  /** `http://HOSTNAME:PORT`, without a path. */
  readonly origin: string;
}

/**
 * Listens when the promise resolves.
 *
 * @param handle Its `signal` aborts when the client goes away or the server closes.
 * @param port TCP port. @default 0, a free one
 */
export async function listen(
  handle: (
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ) => Promise<void>,
  port = 0,
  hostname = "127.0.0.1",
): Promise<Listening> {
  const closing = new AbortController();
  const server = createServer((request, response) => {
    const gone = new AbortController();
    response.once("close", () => gone.abort(new Error("The client has gone")));
    void handle(request, response, AbortSignal.any([gone.signal, closing.signal]));
  });
  const listening = Promise.withResolvers<void>();
  server.once("error", listening.reject);
  server.listen(port, hostname, listening.resolve);
  await listening.promise;
  return {
    origin: `http://${hostname}:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      closing.abort(new Error("The server is closing"));
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}
