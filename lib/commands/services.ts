/**
 * @module commands/services: what a run talks to, opened from settings and environment: the bucket
 * or the folder, the images, the engine; or the local profile. The AWS SDKs are loaded here and
 * only where they are used.
 */

import type { Context } from "../cli/command.ts";
import type { Connection, ConnectOptions } from "../engine/engine.ts";
import {
  findEngine,
  foreignKey,
  holdsKey,
  isForeignKey,
  KEY_VARIABLES,
  SHOWN_VARIABLES,
} from "../engine/engines.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { RunError } from "../base/errors.ts";
import type { ImageSource } from "../dataset/image_location.ts";
import type { Environment, Settings } from "../base/settings.ts";
import { proxyVariables } from "../base/proxy.ts";
import { printable, shown } from "../base/text.ts";
import { lazyStore } from "../store/lazy.ts";
import type { S3Service } from "../store/s3.ts";
import type { Store } from "../store/store.ts";

/** What a run talks to. Disposing closes it. */
export interface Services extends AsyncDisposable {
  /** Input, output and all state. */
  readonly store: Store;
  /** Where images may lie. */
  readonly images: ImageSource;
  /** The settings, with engine and model as they are here. */
  readonly settings: Settings;
  /** The engine of the settings, ready to be asked; undefined where nothing is asked. */
  readonly connection: Connection | undefined;
  /** The engines of the settings' fallbacks, in the same way. @default none */
  readonly fallbacks?: readonly Connection[];
  /** What the user should know first. */
  readonly greeting?: string;
  /** What a page costs here, US dollars, whatever the settings say. */
  readonly pricePerPage?: number;
}

/** What decides between the services beside settings and environment. */
export interface Needs {
  /** Whether the API is going to be asked; without that no key is needed. */
  readonly asks: boolean;
  /** Whether this is a compiled program, which has no local profile. */
  readonly standalone: boolean;
  /** Told what the engine has to say while it is asked. */
  readonly note: ConnectOptions["note"];
  /** Time. */
  readonly clock: Clock;
}

/** The variable that gives a key, where one does: nobody wants the local profile then. */
function givenKey(settings: Settings, env: Environment): string | undefined {
  const { keyVariable, keysVariable } = findEngine(settings.engine)!;
  return [keyVariable, keysVariable, "AWS_SECRET_ARN"].find((name) =>
    name !== undefined && env[name]
  );
}

/**
 * The store that was named and the engine with its credentials; a fresh checkout where neither a
 * store nor a key is named gets a folder and a local server.
 *
 * @throws {RunError} `usage` naming whatever is missing
 * @throws {StoreError} `denied` if this program may not use folders
 */
export async function openServices(
  settings: Settings,
  env: Environment,
  needs: Needs,
): Promise<Services> {
  const named = settings.s3Bucket !== undefined || settings.folder !== undefined;
  const local = !needs.standalone && !named && givenKey(settings, env) === undefined;
  return await (local ? openLocal : openNamed)(settings, env, needs);
}

/**
 * The same for a command that asks the API nothing, and so needs no key. Says first what the user
 * should know. Where it is told when to stop, it waits for a store that is gone for a while, as a
 * run does, and says so.
 *
 * @param silent Whether nothing is said, as another does. @default false
 * @throws as {@linkcode openServices}
 */
export async function openUnasking(
  settings: Settings,
  env: Environment,
  context: Pick<Context, "standalone" | "printError"> & Partial<Pick<Context, "stop">>,
  silent = false,
): Promise<Services> {
  const { standalone, stop, printError } = context;
  const services = await openServices(settings, env, {
    ...{ asks: false, standalone, clock: systemClock },
    note: () => {},
  });
  if (services.greeting && !silent) printError(`${services.greeting}\n`);
  if (!stop) return services;
  const { Patience } = await import("../store/patient.ts");
  const patience = new Patience({
    ...{ maxOutageMs: settings.maxOutageMs, clock: systemClock, random: Math.random, giveUp: stop },
    note: (message) => printError(`${printable(message)}\n`),
    meanwhile: "Ctrl-C ends it",
  });
  const { local, bucket } = services.images;
  const store = patience.wrap(services.store);
  return {
    ...services,
    store,
    images: { local: local && store, bucket: bucket && ((name) => patience.wrap(bucket(name))) },
    [Symbol.asyncDispose]: () => services[Symbol.asyncDispose](),
  };
}

async function openLocal(settings: Settings, env: Environment, needs: Needs): Promise<Services> {
  // A computed address keeps development code out of the compiled program.
  const address = new URL("../../dev/local/profile.ts", import.meta.url).href;
  const profile: { openLocalProfile: typeof openLocal } = await import(address);
  return await profile.openLocalProfile(settings, env, needs);
}

async function openNamed(
  settings: Settings,
  env: Environment,
  { asks, note, clock }: Needs,
): Promise<Services> {
  const { s3Bucket, folder } = settings;
  if (s3Bucket === undefined && folder === undefined) {
    const because = givenKey(settings, env);
    const reason = because ? ` (${because} is set, so this is not the local profile)` : "";
    throw new RunError(
      "usage",
      `--store or --s3-bucket (or S3_BUCKET) is required${reason}. Try --help.`,
    );
  }
  refuseKeys(env);
  const endpoint = endpointOf(env);
  const proxy = proxyVariables(env);
  const readSecret = async (id: string) =>
    await (await import("../engine/secrets_manager.ts")).readSecret(id, proxy);
  const aws = async () => await (await import("../engine/secrets_manager.ts")).awsAccess(proxy);
  const asked = asks
    ? await connectAll(settings, { env, readSecret, aws, clock, note })
    : { settings };
  let s3: S3Service | undefined;
  const openBuckets = async () => {
    const { openS3 } = await import("../store/s3.ts");
    return s3 ??= openS3({ endpoint, profile: env.AWS_PROFILE || undefined, proxy });
  };
  const bucket = (name: string) =>
    s3?.bucket(name) ?? lazyStore(`s3://${name}`, async () => (await openBuckets()).bucket(name));
  const store = s3Bucket === undefined
    ? (await import("../store/folder.ts")).openFolder(folder!)
    : (await openBuckets()).bucket(s3Bucket);
  return {
    store,
    // An image of a bucket lies in S3 wherever the store is; without one, AWS is never asked.
    images: { local: store, bucket },
    connection: undefined,
    ...asked,
    [Symbol.asyncDispose]: () => {
      s3?.[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}

/**
 * The engine of the settings, ready to be asked.
 *
 * @throws {RunError} what the engine's `connect` throws; `usage` where its key is another engine's
 */
export async function connect(
  settings: Settings,
  options: Omit<ConnectOptions, "model">,
): Promise<Connection> {
  const engine = findEngine(settings.engine)!;
  const foreign = foreignKey(engine, options.env);
  if (foreign !== undefined) {
    throw new RunError(
      "usage",
      `${foreign} holds the key of another engine, which is not sent to ${engine.name}: unset it, ` +
        "or set it to the key of that server",
    );
  }
  const { given, model } = settings;
  return await (await engine.load()).connect({
    ...options,
    isForeignKey: (key) => isForeignKey(engine, key, options.env),
    env: engineEnvironment(settings, options.env),
    model: given.model ? model : undefined,
  });
}

/**
 * The engine of the settings and its fallbacks, and the settings with the models that servers say
 * that they have.
 *
 * @throws {RunError} as {@linkcode connect}
 */
export async function connectAll(
  settings: Settings,
  options: Omit<ConnectOptions, "model">,
): Promise<Required<Pick<Services, "connection" | "fallbacks" | "settings">>> {
  const connection = await connect(settings, options);
  const fallbacks: Connection[] = [];
  for (const { engine, model } of settings.fallbacks) {
    const given = { ...settings.given, model: model !== findEngine(engine)!.defaultModel };
    fallbacks.push(
      await connect({ ...settings, engine, model, given }, { ...options, standsIn: true }),
    );
  }
  return {
    connection,
    fallbacks,
    settings: withModel({
      ...settings,
      fallbacks: settings.fallbacks.map((fallback, n) => ({
        ...fallback,
        model: fallbacks[n].model ?? fallback.model,
      })),
    }, connection.model),
  };
}

/** The environment as the engine of the settings sees it: options count as their variables. */
export function engineEnvironment(settings: Settings, env: Environment): Environment {
  return { ...env, ...settings.engineVariables };
}

/**
 * The settings with a model that is the server's to say. It counts as given: a run that was begun
 * with another one is not continued with this one unawares.
 */
export function withModel(settings: Settings, model: string | undefined): Settings {
  if (model === undefined) return settings;
  return { ...settings, model, given: { ...settings.given, model: true, toldModel: true } };
}

/**
 * The settings with the model that a run would ask for, where the server says it; no page is sent.
 *
 * @returns Beside them what the user should know where nobody answered.
 */
export async function findModel(
  settings: Settings,
  env: Environment,
): Promise<{ readonly settings: Settings; readonly note?: string }> {
  const engine = findEngine(settings.engine)!;
  if (settings.given.model || !engine.findModel) return { settings };
  const found = await engine.findModel({ env: engineEnvironment(settings, env) });
  if (found.unreachable === undefined) return { settings: withModel(settings, found.model) };
  const note =
    `the server doesn't answer (${found.unreachable}), so nobody knows its model: a run ` +
    "would end at once, and answers that are stored for it are not counted here";
  return { settings: { ...settings, model: found.model }, note };
}

/** Names and addresses that AWS, a message or the store would get. */
const SHOWN_TO_AWS: readonly string[] = [
  ...["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_REGION"],
  "AWS_ENDPOINT_URL_SECRETS_MANAGER",
];

/** @throws {RunError} `usage` where an API key stands in what somebody else would get */
function refuseKeys(env: Environment): void {
  for (const name of [...SHOWN_TO_AWS, ...SHOWN_VARIABLES]) {
    if (!holdsKey(env[name] ?? "", env)) continue;
    throw new RunError(
      "usage",
      `${name} looks like an API key, which is not repeated here; ` +
        `a key goes into ${KEY_VARIABLES.join(" or ")}`,
    );
  }
}

/** The S3 server that the environment names; `undefined` for AWS. @throws {RunError} `usage` */
function endpointOf(env: Environment): string | undefined {
  const name = env.AWS_ENDPOINT_URL_S3 ? "AWS_ENDPOINT_URL_S3" : "AWS_ENDPOINT_URL";
  const value = env[name];
  if (!value) return undefined;
  if (/^https?:\/\//i.test(value) && URL.canParse(value)) {
    const { search, hash, username, password } = new URL(value);
    if (!search && !hash && !username && !password) return value;
    throw new RunError("usage", `${name} must have no credentials, query or fragment`);
  }
  throw new RunError(
    "usage",
    `${name} must be a URL like http://127.0.0.1:9000 or https://s3.example.com: it is ${
      shown(value)
    }`,
  );
}
