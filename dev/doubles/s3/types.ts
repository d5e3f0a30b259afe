/**
 * @module doubles/s3/types: what the files of `dev/doubles/s3/server.ts` share: a request as they
 * see it, and all that the server remembers.
 */

/** What a fault hook sees of a request, before anything is done. */
export interface DoubleRequest {
  readonly method: string;
  readonly bucket: string;
  /** The decoded key; `""` for requests about a bucket. */
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  /** Number of this request since the start, from 0. */
  readonly index: number;
}

/** An object in memory. */
export interface DoubleObject {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Without quotes. */
  readonly etag: string;
  readonly contentType: string;
  readonly modified: Date;
  /** User metadata by lower-case name, without `x-amz-meta-`. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A part of a multipart upload. */
export interface DoublePart {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Without quotes. */
  readonly etag: string;
  /** CRC-32, base64. */
  readonly sum: string;
}

/** A multipart upload under way. */
export interface DoubleUpload {
  readonly bucket: string;
  readonly key: string;
  readonly contentType: string;
  /** Whether parts come with a CRC-32. */
  readonly summed: boolean;
  /** By part number. */
  readonly parts: Map<number, DoublePart>;
}

/** Everything the server remembers. */
export interface DoubleState {
  readonly objects: Map<string, Map<string, DoubleObject>>;
  readonly uploads: Map<string, DoubleUpload>;
  readonly accessKeyId: string;
  readonly pageSize: number;
  readonly minPartSize: number;
}
