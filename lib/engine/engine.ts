/**
 * @module engine/engine: what the rest of the program knows of an OCR engine. Everything that one
 * vendor does differently is behind it: an engine is one file and one line in `engine/engines.ts`.
 *
 * Reading an answer is pure and needs no connection, so a parser fix reaches answers that were paid
 * for long ago. Pacing, retrying and storing happen elsewhere.
 */

import type { Clock } from "../base/clock.ts";
import type { Parsed } from "../base/json.ts";
import type { Environment } from "../base/settings.ts";
import type { FailureCode } from "../dataset/failure.ts";
import type { Quads } from "../dataset/quads.ts";
import type { Polygon } from "../dataset/row.ts";
import type { StoredPicture } from "../image/frame.ts";
import type { MediaType } from "../image/media_type.ts";

/** What a picture says of itself in its header; some engines tell places only as parts of it. */
export type Picture = StoredPicture;

/** An image as it goes to an engine. */
export interface ImageFile {
  /** The file, as it lies in storage. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** SHA-256 of `bytes`, lower-case hex. */
  readonly sha256: string;
  /** What the bytes are. */
  readonly mediaType: MediaType;
  /** Size and orientation of the picture, where it is one that says so. */
  readonly picture?: StoredPicture;
}

/** A word on a page, or whatever the engine's granularity is. */
export interface Word {
  /** As the engine read it; unknown characters are U+FFFD. */
  readonly text: string;
  /** 0 to 1; null where the engine gives none. */
  readonly confidence: number | null;
  /** Four points in pixels, clockwise from the top left of the text. */
  readonly polygon: Polygon;
  /** What its row says that it is. @default `text` */
  readonly label?: string;
}

/** Words of a page in few pieces, see `dataset/quads.ts`; none has a label of its own. */
export interface FlatWords {
  /** How many. */
  readonly length: number;
  /** {@linkcode Word.text} of each. */
  readonly texts: readonly string[];
  /** {@linkcode Word.confidence} of each. */
  readonly confidences: readonly number[];
  /** {@linkcode Word.polygon} of each. */
  readonly quads: Quads;
}

/** A page as an engine saw it. */
export interface AnswerPage {
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
  /**
   * That the page's shape shows nothing of the frame that the engine has read the picture in, as
   * it is not the engine's but the header's: of a picture that EXIF turns nobody knows it. Absent
   * where width and height are what the engine saw.
   */
  readonly frame?: "unknown";
  /** 0 to 1; null where the engine gives none. */
  readonly confidence: number | null;
  /** In reading order. */
  readonly words: readonly Word[];
  /** The same in few pieces, where they were read so: then `words` is made of it when asked for. */
  readonly flat?: FlatWords;
}

/** An engine's answer for one file. */
export interface Answer {
  /** The model that really answered, for example `ocr-260930`. */
  readonly modelVersion: string | null;
  /** One at least. */
  readonly pages: readonly [AnswerPage, ...AnswerPage[]];
  /**
   * In what it differs from the documented form and was understood all the same, each kind once, as
   * in "confidence above 1 taken for 1"; absent where it doesn't.
   */
  readonly drift?: readonly string[];
}

/** A whole answer as JSON. */
export interface TextAnswer {
  /** Tells it from other outcomes. */
  readonly kind: "answered";
  /** As it came. */
  readonly text: string;
  /** The same in UTF-8, where it came so: it need not be encoded again. */
  readonly utf8?: Uint8Array<ArrayBuffer>;
  /** The same parsed. */
  readonly body: unknown;
}

/** A whole answer that was read off its bytes. */
export interface ScannedAnswer {
  /** Tells it from other outcomes. */
  readonly kind: "answered";
  /** It was never made. */
  readonly text?: undefined;
  /** The JSON as it came, in UTF-8. */
  readonly utf8: Uint8Array<ArrayBuffer>;
  /** What {@linkcode Engine.scan} made of it. */
  readonly body: object;
}

/** A whole answer. */
export type Answered = TextAnswer | ScannedAnswer;

/** What became of a request. */
export type Outcome =
  | Answered
  /**
   * The page is paid for and being worked on: {@linkcode Connection.collect} fetches the answer.
   * `ticket` is JSON, holds no secret, and is good in later processes, too.
   */
  | { readonly kind: "accepted"; readonly ticket: unknown; readonly message: string }
  /**
   * Trying this page again may help, not before `until` (ms since the epoch) if there is one.
   * `code` is what a row fails with that gets nothing else, where that is not `api_unavailable`.
   * `unreached` is set where no connection came about, so that no page can be at fault.
   */
  | {
    readonly kind: "retryable";
    readonly until?: number;
    readonly message: string;
    readonly code?: FailureCode;
    readonly unreached?: true;
  }
  /**
   * Too fast: nobody should ask before `until` (ms since the epoch), where the API names a time.
   * `code` is its word for it, where that is none for a rate: then it may mean this page alone.
   */
  | {
    readonly kind: "throttled";
    readonly until: number | undefined;
    readonly message: string;
    readonly code?: string;
  }
  /** This page will never work; others may. */
  | { readonly kind: "rejected"; readonly message: string }
  /** The key was refused, which is not billed, and there is another one now: ask again. */
  | { readonly kind: "renewed"; readonly message: string }
  /**
   * As where key, credit or address is wrong. If so, no page will work until somebody changes it;
   * but something on the way to the API may also refuse a single page like that.
   */
  | { readonly kind: "refused"; readonly message: string };

/** What became of a page that was accepted, at one look. */
export type Collected =
  /** What is `retryable` is looked for again; what is `rejected` is paid for and has no answer. */
  | Exclude<Outcome, { kind: "accepted" }>
  /** It is still being worked on. */
  | { readonly kind: "pending"; readonly message: string }
  /** The API knows of no such page, or not any more; by another key it may. */
  | { readonly kind: "unknown"; readonly message: string };

/** An environment variable that an engine reads. */
export interface EnvironmentVariable {
  /** Its name. */
  readonly name: string;
  /** What is used without it, if it can be said in a word. */
  readonly default?: string;
  /** What it is for, for `--help`. */
  readonly help: string;
  /** It stands in messages, or is told to others: no key belongs there. @default false */
  readonly shown?: true;
}

/** What requests to AWS are signed with. */
export interface AwsCredentials {
  /** The key's name. */
  readonly accessKeyId: string;
  /** The key itself, which is sent nowhere. */
  readonly secretAccessKey: string;
  /** Beside keys that run out; sent with each request. */
  readonly sessionToken?: string;
}

/** AWS as this process may use it. */
export interface AwsAccess {
  /** The region that environment or profile name. */
  readonly region: string | undefined;
  /**
   * The credentials of the default chain (environment, profile, container or instance role), kept
   * until shortly before they run out.
   *
   * @param again Fetches them whatever is kept. @default false
   * @throws {RunError} `usage` where there are none
   */
  credentials(again?: boolean): Promise<AwsCredentials>;
}

/** What {@linkcode Engine.connect} works with. */
export interface ConnectOptions {
  /** Has at least the engine's own variables. */
  readonly env: Environment;
  /** Reads the value of a secret; see `engine/secrets_manager.ts`. */
  readonly readSecret: (id: string) => Promise<string>;
  /** Finds credentials and region of AWS; see `engine/secrets_manager.ts`. @default none */
  readonly aws?: () => Promise<AwsAccess>;
  /** Whether a key is clearly one of another engine. @default none is */
  readonly isForeignKey?: (key: string) => boolean;
  /** Time. */
  readonly clock: Clock;
  /** Told, once requests are sent, what people should know: a key that has changed. */
  readonly note: (message: string) => void;
  /** Stands for what the environment says, without a trailing slash: the local profile's server. */
  readonly baseUrl?: string;
  /** Stands for what the environment says, in the same way. */
  readonly key?: string;
  /** The model that the user names; what the server says doesn't matter then. */
  readonly model?: string;
  /**
   * Whether pages may never need it, so that a server that doesn't answer now is met when they do.
   * @default false
   */
  readonly standsIn?: boolean;
}

/** What {@linkcode EngineFacts.findModel} works with. */
export type FindModelOptions = Pick<ConnectOptions, "env" | "baseUrl" | "key">;

/** The model that a server says it has. */
export interface FoundModel {
  /** Safe as part of a key; made of the address where the server doesn't say. */
  readonly model: string;
  /** Why nobody could ask it, for people. */
  readonly unreachable?: string;
}

/** An engine that is ready to be asked. */
export interface Connection {
  /**
   * Asks for one image and says, in types, what became of it. It never retries and never waits for
   * a turn: that is the asker's matter (`label/ask.ts`).
   *
   * @throws {RunError} `api` or `again` if no request can be sent any more
   * @throws The signal's reason, when `signal` aborts.
   */
  send(image: ImageFile, model: string, signal: AbortSignal): Promise<Outcome>;
  /**
   * Looks once for the answer to a page that was accepted, by this process or an earlier one. Absent
   * where pages are answered at once.
   *
   * @param ticket As it came with `accepted`, or was read back from its JSON.
   * @throws {RunError} `api` or `again` if no request can be sent any more
   * @throws The signal's reason, when `signal` aborts.
   */
  collect?(ticket: unknown, signal: AbortSignal): Promise<Collected>;
  /**
   * Whom it asks: what was learnt of one server says nothing of another. Absent where there is only
   * one.
   */
  readonly server?: string;
  /**
   * Names the key that it asks by, among others at that server, without giving it away: those who
   * ask by the same have one limit together. Safe as part of a key; absent where nobody knows.
   */
  readonly account?: string;
  /**
   * The model that it asks, where that is the server's to say: safe as part of a key. Absent where
   * it is the one of the settings.
   */
  readonly model?: string;
  /** What to check when the API refuses everything, as in "check …, then run again". */
  readonly advice: string;
  /** The same engine by its further keys, where the user gave several; each has its own limit. */
  readonly further?: readonly Connection[];
}

/** What is known of an engine before it is loaded: enough for options, prices and messages. */
export interface EngineFacts {
  /** Name on the command line and in keys. */
  readonly name: string;
  /** Model used where none is named: an alias that the vendor keeps current. */
  readonly defaultModel: string;
  /**
   * Requests per second that the vendor documents; where to be careful, not where to stop. Null for
   * a server of one's own, which takes as many as it gets and becomes slow: there it is found out
   * how many at once are worth it (`pace/concurrency.ts`).
   */
  readonly documentedRate: number | null;
  /**
   * Looks for accepted pages per second to begin with, which have a limit of their own; absent where
   * pages are answered at once.
   */
  readonly documentedPollRate?: number;
  /**
   * What a page costs in US dollars, and when it did: `November 2026`; null where nobody charges.
   */
  readonly price: { readonly perPage: number; readonly asOf: string | null };
  /** What one entry of {@linkcode AnswerPage.words} is. */
  readonly granularity: "word" | "line" | "block";
  /** Every variable that it reads itself, in the order of `--help`. */
  readonly environment: readonly EnvironmentVariable[];
  /** The variable with its key; where that is set, nobody wants the local profile. */
  readonly keyVariable: string | undefined;
  /** The variable with several of them, separated by commas; absent where it takes one. */
  readonly keysVariable?: string;
  /** Whether a text holds what is clearly one of its keys: somebody gave it in the wrong place. */
  readonly looksLikeKey: (text: string) => boolean;
  /** What it takes, of those that `image/media_type.ts` recognises. */
  readonly mediaTypes: ReadonlySet<string>;
  /** The largest file it takes, bytes. */
  readonly maxBytes: number;
  /**
   * Whether its answers tell places as parts of the picture, or no size: then an image whose header
   * can't be read is refused. Headers that can be are kept with each answer. @default false
   */
  readonly needsPicture?: boolean;
  /**
   * Whom a connection with these variables asks, as in {@linkcode Connection.server}. Reads no key.
   */
  serverOf(env: Environment): string | undefined;
  /**
   * Finds out which model a connection with these variables would ask, where that is the server's to
   * say. No page is sent. Absent where it is the one of the settings.
   *
   * @throws {RunError} `usage` naming what is wrong with the address
   */
  findModel?(options: FindModelOptions): Promise<FoundModel>;
  /** The engine itself, with whatever it takes to read its answers. */
  load(): Promise<Engine>;
}

/** An OCR engine. */
export interface Engine extends EngineFacts {
  /**
   * Gets ready to send. A heavy client (an SDK) is loaded here and not before.
   *
   * @throws {RunError} `usage` naming what is wrong with address or credentials; whatever
   *   `readSecret` throws
   */
  connect(options: ConnectOptions): Promise<Connection>;
  /**
   * Reads the JSON of an answer; an unexpected form is a problem in words, never an exception. What
   * is read is handed through `engine/sound_answer.ts`.
   *
   * @param picture Of the image that was asked for, where {@linkcode EngineFacts.needsPicture} says
   *   so.
   */
  parse(body: unknown, picture?: Picture): Parsed<Answer>;
  /**
   * Reads an answer that is to the letter as documented off its bytes, in a fraction of the time and
   * memory that its JSON as objects takes: what comes of it stands for that, in `parse` and
   * `billedPages` of this engine, with the same result. Absent where an engine can't.
   *
   * @param utf8 Well-formed.
   * @returns `undefined` for any other answer.
   */
  scan?(utf8: Uint8Array): object | undefined;
  /** Pages that an answer cost, also one that can't be read: what it states, else at least 1. */
  billedPages(body: unknown): number;
}
