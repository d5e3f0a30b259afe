/**
 * @module local/profile: what a fresh checkout runs on without AWS and without an API key: a
 * git-ignored folder as the store, filled from `testdata/`, and a local server that speaks the
 * API's protocol and really reads the images. Never part of the compiled program.
 */

import { apiAddress, isLoopback } from "../../lib/engine/access.ts";
import { findEngine } from "../../lib/engine/engines.ts";
import { RunError } from "../../lib/base/errors.ts";
import type { Environment, Settings } from "../../lib/base/settings.ts";
import type { Needs, Services } from "../../lib/commands/services.ts";
import { openFolder } from "../../lib/store/folder.ts";
import { startReadingServer } from "../doubles/ocr/reading_server.ts";

const CHECKOUT = new URL("../../", import.meta.url);

/**
 * Opens the local profile. An `UPSTAGE_BASE_URL` on this machine replaces the reading server.
 *
 * @param needs Where nothing is asked no server is started.
 */
export async function openLocalProfile(
  settings: Settings,
  env: Environment,
  { asks, note, clock }: Needs,
): Promise<Services> {
  const folder = new URL(".local/store/", CHECKOUT);
  await copyMissing(new URL("testdata/store/", CHECKOUT), folder);
  const store = openFolder(folder.pathname);
  const own = asks && !env.UPSTAGE_BASE_URL
    ? await startReadingServer({
      folder: new URL("..", folder).pathname, // the one folder that the program may write to
    })
    : undefined;
  const baseUrl = own?.url ??
    (env.UPSTAGE_BASE_URL && apiAddress("UPSTAGE_BASE_URL", env.UPSTAGE_BASE_URL));
  if (baseUrl && !isLoopback(new URL(baseUrl))) {
    throw new RunError(
      "usage",
      "the local profile only asks an API on this machine: set UPSTAGE_API_KEY (or AWS_SECRET_ARN) " +
        "and S3_BUCKET to use UPSTAGE_BASE_URL, or unset it",
    );
  }
  const readSecret = () => Promise.reject(new Error("the local profile has no secrets"));
  const options = { env, readSecret, clock, note, baseUrl, key: "local-profile" };
  return {
    store,
    images: { local: store },
    connection: asks
      ? await (await findEngine(settings.engine)!.load()).connect(options)
      : undefined,
    greeting: "Local profile: no bucket and no API key are set, so this run works on the folder " +
      ".local/store and reads the images on this machine; nothing is sent anywhere, nothing is paid.",
    pricePerPage: 0,
    [Symbol.asyncDispose]: async () => await own?.[Symbol.asyncDispose](),
  };
}

/** Copies the files that are missing or differ; a file that is the same stays untouched. */
async function copyMissing(from: URL, to: URL): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    const name = encodeURIComponent(entry.name);
    const source = new URL(entry.isDirectory ? `${name}/` : name, from);
    const target = new URL(entry.isDirectory ? `${name}/` : name, to);
    if (entry.isDirectory) await copyMissing(source, target);
    else if (!await sameFile(source, target)) await Deno.copyFile(source, target);
  }
}

async function sameFile(a: URL, b: URL): Promise<boolean> {
  try {
    const [x, y] = await Promise.all([Deno.readFile(a), Deno.readFile(b)]);
    return x.length === y.length && x.every((byte, i) => byte === y[i]);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
