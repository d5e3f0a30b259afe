/**
 * @module commands/services: what a run talks to, opened from settings and environment: the bucket, the
 * images, the API; or the local profile. The AWS SDKs are loaded here and only where they are used.
 */

import { apiBaseUrl, apiKey } from "../engine/access.ts";
import { type ApiKey, fixedKey } from "../engine/api_key.ts";
import { RunError } from "../base/errors.ts";
import type { ImageSource } from "../dataset/image_location.ts";
import type { Environment, Settings } from "../base/settings.ts";
import type { Store } from "../store/store.ts";

/** What a run talks to. Disposing closes it. */
export interface Services extends AsyncDisposable {
  /** Input, output and all state. */
  readonly store: Store;
  /** Where images may lie. */
  readonly images: ImageSource;
  /** Address and key of the API. */
  readonly api: { readonly baseUrl: string; readonly key: ApiKey };
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
}

/**
 * S3 and the API with a key; a fresh checkout without AWS and without a key gets a folder and a local
 * server.
 *
 * @throws {RunError} `usage` naming whatever is missing
 */
export async function openServices(
  settings: Settings,
  env: Environment,
  { asks, standalone }: Needs,
): Promise<Services> {
  const local = !standalone && !settings.s3Bucket && !env.UPSTAGE_API_KEY && !env.AWS_SECRET_ARN;
  return local ? await openLocal(env) : await openAws(settings, env, asks);
}

async function openLocal(env: Environment): Promise<Services> {
  // A computed address keeps development code out of the compiled program.
  const address = new URL("../../dev/local/profile.ts", import.meta.url).href;
  const profile: { openLocalProfile(env: Environment): Promise<Services> } = await import(address);
  return await profile.openLocalProfile(env);
}

async function openAws(settings: Settings, env: Environment, asks: boolean): Promise<Services> {
  if (!settings.s3Bucket) {
    const because = env.UPSTAGE_API_KEY
      ? "UPSTAGE_API_KEY"
      : env.AWS_SECRET_ARN && "AWS_SECRET_ARN";
    const reason = because ? ` (${because} is set, so this is not the local profile)` : "";
    throw new RunError("usage", `--s3-bucket (or S3_BUCKET) is required${reason}. Try --help.`);
  }
  const baseUrl = apiBaseUrl(env);
  const readSecret = async (id: string) =>
    await (await import("../engine/secrets_manager.ts")).readSecret(id);
  const key = asks ? await apiKey(env, readSecret) : fixedKey("");
  const { openS3 } = await import("../store/s3.ts");
  const s3 = openS3({ endpoint: env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL || undefined });
  return {
    store: s3.bucket(settings.s3Bucket),
    images: { bucket: (name) => s3.bucket(name) },
    api: { baseUrl, key },
    [Symbol.asyncDispose]: () => {
      s3[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}
