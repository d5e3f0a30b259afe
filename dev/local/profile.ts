/**
 * @module local/profile: what a fresh checkout runs on without AWS and without an API key: a
 * git-ignored folder as the store, filled from `testdata/`, and a local server that really reads the
 * images. It is asked as any server of one's own, or by the vendor's protocol where that engine is
 * named. Never part of the compiled program.
 */

import { apiAddress, isLoopback } from "../../lib/engine/access.ts";
import { DEFAULT_ENGINE, OWN_SERVER } from "../../lib/engine/engines.ts";
import { RunError } from "../../lib/base/errors.ts";
import type { Environment, Settings } from "../../lib/base/settings.ts";
import {
  connectAll,
  engineEnvironment,
  type Needs,
  type Services,
  withModel,
} from "../../lib/commands/services.ts";
import { openFolder } from "../../lib/store/folder.ts";
import { READER_MODEL, startReadingServer } from "../doubles/ocr/reading_server.ts";

const CHECKOUT = new URL("../../", import.meta.url);

/**
 * Opens the local profile. An `ENGINE_URL` or `UPSTAGE_BASE_URL` on this machine replaces the
 * reading server.
 *
 * @param needs Where nothing is asked no server is started.
 * @throws {RunError} `usage` for an engine or an address that it has no use for
 */
export async function openLocalProfile(
  wanted: Settings,
  env: Environment,
  { asks, note, clock }: Needs,
): Promise<Services> {
  const settings = settled(wanted, env);
  const address = addressOf(settings, env);
  const folder = new URL(".local/store/", CHECKOUT);
  await copyMissing(new URL("testdata/store/", CHECKOUT), folder);
  const store = openFolder(folder.pathname);
  const own = asks && address === undefined
    ? await startReadingServer({
      protocol: settings.engine === OWN_SERVER.name ? "liteparse" : "upstage",
      folder: new URL("..", folder).pathname, // the one folder that the program may write to
    })
    : undefined;
  const readSecret = () => Promise.reject(new Error("the local profile has no secrets"));
  const key = settings.engine === OWN_SERVER.name ? "" : "local-profile";
  const options = { readSecret, clock, note, baseUrl: own?.url ?? address, key };
  // What is said of another server holds for that alone.
  const asked = !asks
    ? { settings }
    : own
    ? await connectAll({ ...settings, engineVariables: {} }, { ...options, env: {} })
    : await connectAll(settings, { ...options, env });
  return {
    store,
    images: { local: store },
    connection: undefined,
    ...asked,
    greeting: "Local profile: no bucket and no API key are set, so this run works on the folder " +
      ".local/store and reads the images on this machine; nothing is sent anywhere, nothing is paid.",
    pricePerPage: 0,
    [Symbol.asyncDispose]: async () => await own?.[Symbol.asyncDispose](),
  };
}

/** The settings with the engine that is asked here, where the user names none. */
function settled(settings: Settings, env: Environment): Settings {
  const engine = settings.given.engine
    ? settings.engine
    : env.UPSTAGE_BASE_URL
    ? DEFAULT_ENGINE.name
    : OWN_SERVER.name;
  if (engine !== OWN_SERVER.name && engine !== DEFAULT_ENGINE.name) {
    throw new RunError(
      "usage",
      `the local profile asks a server on this machine, not ${engine}: name a store (--store) and ` +
        "the engine's key to use that",
    );
  }
  const other = settings.fallbacks.find((fallback) => fallback.engine !== engine);
  if (other) {
    throw new RunError(
      "usage",
      `the local profile has one server, which is asked by ${engine}: name a store (--store) to ` +
        `fall back on ${other.engine}`,
    );
  }
  if (engine === settings.engine && engine !== OWN_SERVER.name) return settings;
  const { given } = settings;
  if (given.model) return { ...settings, engine };
  const model = OWN_SERVER.defaultModel;
  // Its own server needs no asking.
  const server = engineEnvironment(settings, env).ENGINE_URL;
  return server ? { ...settings, engine, model } : withModel({ ...settings, engine }, READER_MODEL);
}

/** The server that the user names instead of the profile's own. */
function addressOf(settings: Settings, env: Environment): string | undefined {
  const isOwn = settings.engine === OWN_SERVER.name;
  const name = isOwn ? "ENGINE_URL" : "UPSTAGE_BASE_URL";
  const given = engineEnvironment(settings, env)[name];
  if (!given) return undefined;
  const address = isOwn ? given : apiAddress(name, given);
  const url = URL.parse(address);
  if (!url || isLoopback(url)) return address; // one that is none is refused with its reason
  throw new RunError(
    "usage",
    `the local profile only asks a server on this machine: name a store (--store or S3_BUCKET)${
      isOwn ? "" : " and UPSTAGE_API_KEY (or AWS_SECRET_ARN)"
    } to use ${name}, or unset it`,
  );
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
