/**
 * @module store/sigv4: signs S3 requests (AWS Signature Version 4) with a signing key that is
 * derived once a day. Pure: the time is handed in, nothing is sent.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
import { createHmac, hash } from "node:crypto";

/** An access key. */
export interface S3Credentials {
  /** The key's name. */
  readonly accessKeyId: string;
  /** The key itself. */
  readonly secretAccessKey: string;
  /** Beside keys that run out. */
  readonly sessionToken?: string;
}

/** SHA-256 of no bytes, in hexadecimal digits. */
export const EMPTY_SHA256: string = hash("sha256", "");

/** What of a request is signed besides its headers. */
export interface SignedRequest {
  /** In capitals. */
  readonly method: string;
  /** As it is sent: percent-encoded, from the first slash on. */
  readonly path: string;
  /** As it is sent, sorted by name, without the question mark. @default none */
  readonly query?: string;
  /** By names in lower case, all of which are signed; `host` must be among them. */
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 of the body in hexadecimal digits, or what stands for it. */
  readonly payload: string;
}

/**
 * A key as it stands in a request's path: every byte of its UTF-8 but unreserved characters and the
 * slash is percent-encoded, and nothing is normalised. A lone surrogate becomes U+FFFD.
 */
export function encodeKey(key: string): string {
  if (/^[A-Za-z0-9\-_.~/]*$/.test(key)) return key;
  return encodeURIComponent(key.toWellFormed()).replaceAll("%2F", "/")
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Signs requests for one service in one region. */
export class SigV4 {
  readonly #region: string;
  readonly #service: string;
  #key: { readonly of: string; readonly mac: ShortMac } | undefined;
  #time: { readonly second: number; readonly text: string } | undefined;

  /** Derives no key yet. @param region As the server expects it. */
  constructor(region: string, service = "s3") {
    this.#region = region;
    this.#service = service;
  }

  /**
   * A time as `x-amz-date` takes it: `20261126T173000Z`.
   *
   * @param now Milliseconds since the epoch.
   */
  stamp(now: number): string {
    const second = Math.floor(now / 1_000);
    if (this.#time?.second !== second) {
      const text = new Date(second * 1_000).toISOString().replace(/[-:]|\.000/g, "");
      this.#time = { second, text };
    }
    return this.#time.text;
  }

  /**
   * The `Authorization` of a request.
   *
   * @param stamp Its time, as `x-amz-date` or `date` says it: {@linkcode stamp}.
   */
  authorization(
    { method, path, query = "", headers, payload }: SignedRequest,
    { accessKeyId, secretAccessKey }: S3Credentials,
    stamp: string,
  ): string {
    const day = stamp.slice(0, 8);
    const scope = `${day}/${this.#region}/${this.#service}/aws4_request`;
    let lines = "";
    let names = "";
    for (const name of Object.keys(headers).sort()) {
      lines += `${name}:${headers[name].trim().replace(/\s+/g, " ")}\n`;
      names += names === "" ? name : `;${name}`;
    }
    const canonical = `${method}\n${path}\n${query}\n${lines}\n${names}\n${payload}`;
    const text = `AWS4-HMAC-SHA256\n${stamp}\n${scope}\n${hash("sha256", canonical)}`;
    const key = this.#signingKey(secretAccessKey, day);
    const signature = key.sign(text);
    return `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, ` +
      `SignedHeaders=${names}, Signature=${signature}`;
  }

  #signingKey(secret: string, day: string): ShortMac {
    const of = `${day}/${secret}`;
    if (this.#key?.of !== of) {
      const parts = [day, this.#region, this.#service, "aws4_request"];
      const bytes = parts.reduce<Uint8Array>(
        (key, part) => createHmac("sha256", key).update(part).digest(),
        new TextEncoder().encode(`AWS4${secret}`),
      );
      this.#key = { of, mac: new ShortMac(bytes) };
    }
    return this.#key.mac;
  }
}

/** Length of what SHA-256 works on at a time, bytes. */
const BLOCK = 64;

/**
 * HMAC-SHA256 (RFC 2104) of short texts by one key. As two hashes over memory that is there it makes
 * a sixth of the garbage of an `Hmac`, which is a stream.
 */
class ShortMac {
  readonly #encoder = new TextEncoder();
  readonly #outer: Uint8Array;
  #inner: Uint8Array;

  /** Keeps it as both hashes begin with it. @param key At most a block. */
  constructor(key: Uint8Array) {
    this.#inner = new Uint8Array(BLOCK).fill(0x36);
    this.#outer = new Uint8Array(BLOCK + 32).fill(0x5c, 0, BLOCK);
    for (let i = 0; i < key.length; i++) {
      this.#inner[i] ^= key[i];
      this.#outer[i] ^= key[i];
    }
  }

  /** In hexadecimal digits. */
  sign(text: string): string {
    const most = BLOCK + 3 * text.length;
    if (this.#inner.length < most) {
      const longer = new Uint8Array(most);
      longer.set(this.#inner);
      this.#inner = longer;
    }
    const { written } = this.#encoder.encodeInto(text, this.#inner.subarray(BLOCK));
    this.#outer.set(hash("sha256", this.#inner.subarray(0, BLOCK + written), "buffer"), BLOCK);
    return hash("sha256", this.#outer);
  }
}
