/**
 * @module base/settings: what a run is told to do, as plain data. `cli/settings.ts` makes it from
 * flags, environment and defaults.
 */

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What to do with an unfinished run: continue it silently, continue it and say so, or start over.
 */
export type StartMode = "auto" | "resume" | "fresh";

/** The settings of a run. */
export interface Settings {
  /** Safe as part of a key. */
  readonly datasetName: string;
  /** Bucket of input, output and state; undefined where none was named. */
  readonly s3Bucket: string | undefined;
  /** The same as a folder, absolute or relative; undefined where none was named. Never both. */
  readonly folder: string | undefined;
  /** Key of the input object. */
  readonly inputKey: string;
  /** Key of the output object; never the input's. */
  readonly outputKey: string;
  /** Empty, or ends with a slash. */
  readonly checkpointPrefix: string;
  /** Rows, at least 1. */
  readonly batchSize: number;
  /** Requests per second, greater than 0; undefined to find out what the account allows. */
  readonly rate: number | undefined;
  /** Requests in flight at most, at least 1; undefined for as many as the rate needs. */
  readonly concurrency: number | undefined;
  /** Least time between two starts, milliseconds, at least 0; undefined for none. */
  readonly requestDelayMs: number | undefined;
  /** Images that are held at once, bytes. */
  readonly memoryBudget: number;
  /** At least 0. */
  readonly maxRetries: number;
  /** 0 to 1. */
  readonly maxFailureRate: number;
  /** A known engine. */
  readonly engine: string;
  /** Safe as part of a key. */
  readonly model: string;
  /** What the user's options say to the engine, as the variables that they stand for. */
  readonly engineVariables: Environment;
  /** Known engines that are asked for pages that this one fails on or finds empty, in order. */
  readonly fallbacks: readonly { readonly engine: string; readonly model: string }[];
  /** Which of these the user gave; a run that is continued goes by its manifest for the others. */
  readonly given: {
    readonly batchSize: boolean;
    readonly engine: boolean;
    readonly model: boolean;
    /** Whether the model is what the server says that it has, and counts as given for that. */
    readonly toldModel?: boolean;
  };
  /** What to do with an unfinished run. */
  readonly start: StartMode;
  /** Which failed rows of finished batches are made anew; undefined for none. */
  readonly retryFailed: { readonly codes: readonly string[] | "all" } | undefined;
  /** Price of a page in US dollars, at least 0. */
  readonly pricePerPage: number;
  /** Pages that the run may be billed at most; infinite for no limit. */
  readonly maxPages: number;
  /** The limit as the user gave it, for messages. */
  readonly limit: string;
  /** Both limits, where engines of several prices are asked; infinite for none. */
  readonly limits: { readonly maxPages: number; readonly maxCost: number };
  /** Nothing but failures for so long ends the run, milliseconds. */
  readonly maxOutageMs: number;
  /** Whether pages fail one by one where the run would stop, as nothing has worked yet. */
  readonly noGuard: boolean;
  /** A run that hasn't renewed its lease for so long is taken for dead, milliseconds. */
  readonly leaseMs: number;
}
