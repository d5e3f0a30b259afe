/**
 * @module doubles/s3/s3rver: starts npm's `s3rver`, an S3 server that others wrote, as a child
 * process.
 *
 * It knows no conditional writes and checks no signatures, but shares no misunderstanding with
 * `dev/doubles/s3/server.ts`. Run as a program, this file is the child; it ends when its standard
 * input does.
 */
import { Buffer } from "node:buffer";
import crypto from "node:crypto";
import { devCommand } from "../../testing/program.ts";

/** A running server on an empty folder. */
export interface S3rver extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** An empty bucket. */
  readonly bucket: string;
  /** The key pair that the server expects. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

const BUCKET = "third-party";

/** Starts the server; takes about a second. */
export async function startS3rver(): Promise<S3rver> {
  const folder = await Deno.makeTempDir();
  const { command, args } = devCommand(import.meta.url, folder);
  const child = new Deno.Command(command, {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const stop = async () => {
    await child.stdin.close().catch(() => {});
    await child.status;
    await Deno.remove(folder, { recursive: true });
  };
  // The child's only line of output is its port.
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const port = Number((await output.read()).value);
  await output.cancel();
  if (!(port > 0)) {
    await stop();
    throw new Error("Cannot start s3rver: its message is above");
  }
  return {
    url: `http://127.0.0.1:${port}`,
    bucket: BUCKET,
    credentials: { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" },
    [Symbol.asyncDispose]: stop,
  };
}

if (import.meta.main) {
  // s3rver makes its listing tokens with DES, which OpenSSL 3 no longer has. Any cipher will do.
  for (const name of ["createCipheriv", "createDecipheriv"] as const) {
    const original = crypto[name] as (...args: unknown[]) => unknown;
    const twice = (bytes: Uint8Array) => Buffer.concat([bytes, bytes]);
    Object.assign(crypto, {
      [name]: (algorithm: string, key: Uint8Array, iv: Uint8Array) =>
        algorithm === "des"
          ? original("aes-128-cbc", twice(key), twice(iv))
          : original(algorithm, key, iv),
    });
  }
  const { default: Server } = await import("s3rver");
  const server = new Server({
    address: "127.0.0.1",
    port: 0,
    silent: true,
    directory: Deno.args[0],
    configureBuckets: [{ name: BUCKET }],
  });
  const { port } = await server.run();
  await Deno.stdout.write(new TextEncoder().encode(`${port}\n`));
  await Deno.stdin.readable.pipeTo(new WritableStream());
  Deno.exit(0);
}
