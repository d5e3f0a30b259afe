/**
 * @module doubles/ocr/reading_server: the local OCR server that really reads,
 * `dev/doubles/ocr/reader.ts` behind HTTP.
 *
 * It speaks as `dev/doubles/ocr/upstage.ts` does and takes any key, so a newcomer can run the whole
 * program without an account. Run it with `--port 8787` and end it with Ctrl+C or SIGTERM.
 */

import { parseArgs } from "node:util";
import { createReader } from "./reader.ts";
import { startUpstageServer, type UpstageServer } from "./upstage.ts";
import { type Answer, errorAnswer } from "./upstage_answer.ts";

/**
 * Starts the server. Disposing it ends the workers too.
 *
 * @param options.port TCP port on 127.0.0.1. @default 0, a free one
 * @param options.folder Where the reader makes its temporary folder. @default the system's
 * @param options.workers How many images are read at a time; each takes about 200 MB. @default 1
 */
export async function startReadingServer(
  options: { port?: number; workers?: number; folder?: string } = {},
): Promise<UpstageServer> {
  const reader = await createReader(options);
  try {
    const server = await startUpstageServer({
      port: options.port,
      async answer({ bytes, signal }): Promise<Answer> {
        try {
          return { kind: "page", page: await reader.read(bytes, signal) };
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error);
          return errorAnswer(400, "invalid_request_body", message);
        }
      },
    });
    const close = server[Symbol.asyncDispose].bind(server);
    server[Symbol.asyncDispose] = async () => {
      await close();
      await reader[Symbol.asyncDispose]();
    };
    return server;
  } catch (error) {
    await reader[Symbol.asyncDispose]();
    throw error;
  }
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
    if (!(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
      return "--port must be a whole number from 0 to 65535";
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
  {
    const starting = startReadingServer(given).catch((error) => {
      if (error.code !== "EADDRINUSE" && error.code !== "EACCES") throw error;
      const why = error.code === "EACCES" ? "may not be used" : "is taken";
      return fail(`port ${given.port} ${why}; name another one: deno task api --port 0`);
    });
    await using server = (await starting)!;
    console.log(`OCR server at ${server.url}`);
    await stop.promise;
  }
  Deno.exit(0); // the signal listeners would keep the process alive
}

if (import.meta.main) await main();
