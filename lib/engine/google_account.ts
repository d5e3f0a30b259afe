/**
 * @module engine/google_account: the key of a service account, as the console gives it: JSON with a
 * private key in it.
 */

import { apiAddress } from "./access.ts";
import { RunError } from "../base/errors.ts";
import { parseJsonAs, z } from "../base/json.ts";

/** What a token is asked with. */
export interface ServiceAccount {
  /** Its name, which is no secret. */
  readonly email: string;
  /** Signs with its private key. */
  readonly sign: (bytes: Uint8Array<ArrayBuffer>) => Promise<ArrayBuffer>;
  /** Which of its keys that is. */
  readonly keyId: string | undefined;
  /** Where tokens are had, without a trailing slash. */
  readonly tokenUrl: string;
}

const anyType = z.looseObject({ type: z.string() });
const serviceAccount = z.object({
  client_email: z.string().min(1),
  private_key: z.string().min(1),
  private_key_id: z.string().optional(),
  token_uri: z.string().default("https://oauth2.googleapis.com/token"),
});

/**
 * Reads it.
 *
 * @param source What holds it, in words for a message; nothing of `text` is repeated.
 * @throws {RunError} `usage` where it is no such key
 */
export async function accountIn(text: string, source: string): Promise<ServiceAccount> {
  const type = parseJsonAs(anyType, text).value?.type;
  if (type === undefined) {
    const path = /^[\w.~/\\:-]+\.json$/.test(text.trim());
    throw new RunError(
      "usage",
      `${source} is no JSON of a service account's key: it must be what the file holds` +
        (path ? ", not the path of the file" : ""),
    );
  }
  if (type !== "service_account") {
    throw new RunError(
      "usage",
      `${source} is of another type than service_account, which alone is understood here: make a ` +
        "key for a service account in the console, or use an API key",
    );
  }
  const { value, problem } = parseJsonAs(serviceAccount, text);
  if (problem !== undefined) {
    throw new RunError("usage", `${source} is no service account's key: ${problem}`);
  }
  return {
    email: value.client_email,
    sign: await signer(value.private_key, source),
    keyId: value.private_key_id,
    tokenUrl: apiAddress(`token_uri of ${source}`, value.token_uri),
  };
}

const ALGORITHM = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };

/** What signs with the key in a PEM. Some shells and consoles leave `\\n` where a line ends. */
async function signer(pem: string, source: string): Promise<ServiceAccount["sign"]> {
  const body = /-----BEGIN PRIVATE KEY-----([\s\S]+?)-----END PRIVATE KEY-----/
    .exec(pem.replaceAll("\\n", "\n"))?.[1].replace(/\s/g, "");
  try {
    const bytes = Uint8Array.from(atob(body!), (character) => character.charCodeAt(0));
    const key = await crypto.subtle.importKey("pkcs8", bytes, ALGORITHM, false, ["sign"]);
    return (bytes) => crypto.subtle.sign(ALGORITHM, key, bytes);
  } catch {
    throw new RunError(
      "usage",
      `${source} has no private key that can be read (PEM, PKCS #8, RSA): copy it whole`,
    );
  }
}
