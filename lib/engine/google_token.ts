/**
 * @module engine/google_token: access tokens for a service account: a statement signed with its
 * private key gets one for an hour. The private key goes nowhere.
 *
 * https://developers.google.com/identity/protocols/oauth2/service-account#httprest
 */

import type { ServiceAccount } from "./google_account.ts";
import { exchange, type HttpReply } from "./http.ts";
import type { NoKey, Passing } from "./passing_key.ts";
import type { Clock } from "../base/clock.ts";
import { RunError } from "../base/errors.ts";
import { parseJsonAs, z } from "../base/json.ts";
import { oneLine } from "../base/text.ts";

const SCOPE = "https://www.googleapis.com/auth/cloud-vision";
const GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/** The longest that a statement may count, seconds. */
const STATEMENT_SECONDS = 3_600;
/** A token is replaced so long before it runs out, milliseconds. */
const EARLY_MS = 300_000;
/** Limit for a token, milliseconds. */
const TIMEOUT_MS = 30_000;
/** Clocks that differ by less don't matter, milliseconds. */
const SKEW_MS = 30_000;

/** What is sent until it runs out. */
export interface Token extends Passing {
  /** Milliseconds since the epoch. */
  readonly until: number;
}

const tokenBody = z.object({
  access_token: z.string().regex(/^[\x21-\x7e]+$/),
  expires_in: z.number().min(1).default(STATEMENT_SECONDS),
});
const errorBody = z.object({ error: z.string(), error_description: z.string().optional() });

/** Tokens of one service account. */
export class AccountToken {
  readonly #read: () => Promise<ServiceAccount>;
  readonly #clock: Clock;
  #account: ServiceAccount;
  #token: Token | undefined;
  #fetching: Promise<Token | NoKey> | undefined;
  /** How much later it is there, milliseconds. */
  #offset = 0;

  /**
   * Fetches nothing yet.
   *
   * @param read Reads the account anew, as its key may have been changed.
   */
  constructor(account: ServiceAccount, read: () => Promise<ServiceAccount>, clock: Clock) {
    this.#account = account;
    this.#read = read;
    this.#clock = clock;
  }

  /** Whose tokens these are. */
  get email(): string {
    return this.#account.email;
  }

  /**
   * A token that is good for minutes yet, or why there is none. Who asks while one is fetched waits
   * for that.
   *
   * @param again The last one was refused.
   */
  async get(again: boolean): Promise<Token | NoKey> {
    const token = this.#token;
    const now = this.#clock.now();
    if (!again && token && token.until - EARLY_MS > now) return token;
    const got = await (this.#fetching ??= this.#fetch().finally(() => this.#fetching = undefined));
    // Until its last minute the old one is as good.
    if ("kind" in got && !again && token && token.until - SKEW_MS > now) return token;
    return got;
  }

  async #fetch(): Promise<Token | NoKey> {
    let got = await this.#ask();
    if ("skewed" in got || "denied" in got) {
      if ("denied" in got) {
        try {
          this.#account = await this.#read();
        } catch (error) {
          if (!(error instanceof RunError)) throw error;
          return { kind: "retryable", message: error.message };
        }
      }
      got = await this.#ask();
    }
    if ("skewed" in got || "denied" in got) return { kind: "refused", message: got.message };
    if (!("kind" in got)) this.#token = got;
    return got;
  }

  async #ask(): Promise<
    Token | NoKey | { readonly skewed: true; message: string } | {
      readonly denied: true;
      readonly message: string;
    }
  > {
    const now = this.#clock.now();
    const assertion = await this.#statement(now + this.#offset);
    const form = new URLSearchParams({ grant_type: GRANT, assertion });
    const request = {
      url: this.#account.tokenUrl,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new Blob([form.toString()]),
    };
    const reply = await exchange(request, TIMEOUT_MS, new AbortController().signal);
    if ("kind" in reply) return { kind: "retryable", message: `no access token: ${reply.message}` };
    if (reply.status === 200) {
      const { value, problem } = parseJsonAs(tokenBody, reply.text);
      if (problem === undefined) {
        return { value: value.access_token, until: now + value.expires_in * 1_000 };
      }
      return { kind: "retryable", message: "no access token: 200 with a body that holds none" };
    }
    const message = messageOf(reply, assertion);
    if (reply.status === 429 || reply.status === 408 || reply.status >= 500) {
      return { kind: "retryable", message };
    }
    const date = Date.parse(reply.headers.get("date") ?? "");
    if (Math.abs(date - now - this.#offset) > SKEW_MS) {
      this.#offset = date - now;
      return { skewed: true, message };
    }
    return { denied: true, message };
  }

  /** What says who asks, signed. */
  async #statement(now: number): Promise<string> {
    const { email, keyId, sign, tokenUrl } = this.#account;
    const seconds = Math.floor(now / 1_000);
    const head = { alg: "RS256", typ: "JWT", ...keyId !== undefined && { kid: keyId } };
    const claims = {
      ...{ iss: email, scope: SCOPE, aud: tokenUrl },
      ...{ iat: seconds, exp: seconds + STATEMENT_SECONDS },
    };
    const text = `${encoded(JSON.stringify(head))}.${encoded(JSON.stringify(claims))}`;
    const signature = await sign(new TextEncoder().encode(text));
    return `${text}.${encoded(new Uint8Array(signature))}`;
  }
}

function messageOf({ status, text }: HttpReply, assertion: string): string {
  const { error, error_description: more } = parseJsonAs(errorBody, text).value ?? {};
  const said = [error, more].filter(Boolean).join(": ").replaceAll(assertion, "[statement]");
  return oneLine(`no access token: HTTP ${status}, ${said || "no error body"}`, 300);
}

/** Base64 as URLs take it. */
function encoded(of: string | Uint8Array<ArrayBuffer>): string {
  const bytes = typeof of === "string" ? new TextEncoder().encode(of) : of;
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_")
    .replace(/=+$/, "");
}
