/**
 * @module doubles/ocr/reading_server: the local OCR server that really reads,
 * `dev/doubles/ocr/reader.ts` behind HTTP.
 *
 * It speaks as a server of one's own does (LiteParse's OCR API, `dev/doubles/ocr/own_server.ts`), or
 * as `dev/doubles/ocr/upstage.ts` does, with any key: so a newcomer can run the whole program
 * without an account. Run it with `--port 8787`, where it does both, and end it with Ctrl+C or
 * SIGTERM.
 */

import { parseArgs } from "node:util";
import { startOwnServer } from "./own_server.ts";
import { createReader, type Reader } from "./reader.ts";
import { startUpstageServer } from "./upstage.ts";
import { type Answer, errorAnswer } from "./upstage_answer.ts";

/** What reads: Tesseract, Korean and English. */
export const READER_MODEL = "tesseract-kor-eng";

/** How it can be asked. */
export type Protocol = "liteparse" | "upstage";

/** A running server. Disposing it ends the workers too. */
export interface ReadingServer extends AsyncDisposable {
  /** Where pages go, or the base URL of the API. */
  readonly url: string;
}

/** Options of {@linkcode startReadingServer}. */
export interface ReadingServerOptions {
  /** TCP port on 127.0.0.1. @default 0, a free one */
  readonly port?: number;
  /** Where the reader makes its temporary folder. @default the system's */
  readonly folder?: string;
  /** How many images are read at a time; each takes about 200 MB. @default 1 */
  readonly workers?: number;
  /** What it speaks. @default "liteparse" */
  readonly protocol?: Protocol;
}

/** Starts the server. */
export async function startReadingServer(
  options: ReadingServerOptions = {},
): Promise<ReadingServer> {
  const stack = new AsyncDisposableStack();
  try {
    const reader = stack.use(await createReader(options));
    const server = stack.use(await serve(reader, options));
    return { url: server.url, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

async function serve(
  reader: Reader,
  { port, protocol = "liteparse" }: ReadingServerOptions,
): Promise<ReadingServer> {
  const answer = async (
    { bytes, signal }: { bytes: Uint8Array; signal: AbortSignal },
  ): Promise<Answer> => {
    try {
      return { kind: "page", page: await reader.read(bytes, signal) };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return errorAnswer(400, "invalid_request_body", message);
    }
  };
  return protocol === "upstage"
    ? await startUpstageServer({ port, answer })
    : await startOwnServer({ port, answer, told: { model: READER_MODEL, complete: true } });
}

/** The server's figures, or what is wrong with them. */
function figures(args: string[]): { port: number; workers: number } | string {
  const options = {
    port: { type: "string", default: "8787" },
    workers: { type: "string", default: "2" },
  } as const;
  try {
    const { values } = parseArgs({ args, options });
    const [port, workers] = [Number(values.port), Number(values.workers)];
    if (!(Number.isInteger(port) && port >= 0 && port <= 65_534)) {
      return "--port must be a whole number from 0 to 65534, as the next one is taken, too";
    }
    if (!(Number.isInteger(workers) && workers >= 1 && workers <= 64)) {
      return "--workers must be a whole number from 1 to 64";
    }
    return { port, workers };
  } catch (error) {
    return `${(error as Error).message.split("\n")[0]}; it takes --port N and --workers N`;
  }
}

async function main(): Promise<void> {
  const given = figures(Deno.args);
  const fail = (why: string) => {
    console.error(`OCR server: ${why}`);
    Deno.exit(2);
  };
  if (typeof given === "string") return fail(given);
  const stop = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, stop.resolve);
  }
  const { port, workers } = given;
  const next = port === 0 ? 0 : port + 1;
  {
    const refused = (port: number) => (error: { code?: string }) => {
      if (error.code !== "EADDRINUSE" && error.code !== "EACCES") throw error;
      const why = error.code === "EACCES" ? "may not be used" : "is taken";
      return fail(`port ${port} ${why}; name another one: deno task api --port 0`);
    };
    await using reader = await createReader({ workers });
    const starting = serve(reader, { port, protocol: "liteparse" }).catch(refused(port));
    await using own = (await starting)!;
    const further = serve(reader, { port: next, protocol: "upstage" }).catch(refused(next));
    await using vendor = (await further)!;
    console.log(`OCR server at ${own.url}, which reads with ${READER_MODEL}:`);
    console.log(`  ENGINE_URL=${own.url}  (LiteParse's OCR API, --engine http)`);
    console.log(
      `  UPSTAGE_BASE_URL=${vendor.url} UPSTAGE_API_KEY=anything  (--engine upstage-ocr)`,
    );
    await stop.promise;
  }
  Deno.exit(0); // the signal listeners would keep the process alive
}

if (import.meta.main) await main();
