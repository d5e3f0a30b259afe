/**
 * @module state/keys: the names of all objects the program reads and writes, and what makes a name
 * safe. `docs/DATA_CATALOG.md` lists them for people.
 */

/** Data set, engine and model names become parts of keys: plain characters, no leading dot. */
export function isSafeName(name: string): boolean {
  return /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(name) && name.length <= 128;
}

/** `data/processed/{dataset}.parquet` */
export function defaultInputKey(dataset: string): string {
  return `data/processed/${dataset}.parquet`;
}

/** What the default output of a data set ends with, before `.parquet`. */
const OUTPUT_ENDING = "_pseudo_labels";

/**
 * The data set whose default output is the default input of this one; `undefined` for most names.
 */
export function outputNamedLike(dataset: string): string | undefined {
  return dataset.endsWith(OUTPUT_ENDING) && dataset.slice(0, -OUTPUT_ENDING.length) || undefined;
}

/** `data/processed/{dataset}_pseudo_labels.parquet` */
export function defaultOutputKey(dataset: string): string {
  return `data/processed/${dataset}${OUTPUT_ENDING}.parquet`;
}

/**
 * Key of what two engines agree on, beside the output that it belongs to: `….agreement.parquet`.
 */
export function agreementKey(outputKey: string): string {
  return `${outputKey.replace(/\.parquet$/, "")}.agreement.parquet`;
}

/** Below it lie all answers, by engine and model. */
export const ANSWERS = "responses/";

/**
 * Where the answers of one model lie. It depends on what was asked, never on the data set, so that
 * an image that two data sets share is paid for once.
 */
export function answerPrefix(engine: string, model: string): string {
  return `${ANSWERS}${engine}/${model}/`;
}

/** Key of what was learnt about a model's rate limit, by whatever data set. */
export function rateKey(engine: string, model: string): string {
  return `rates/${engine}/${model}.json`;
}

/** The same of the limit for looks whether accepted pages are ready. */
export function pollRateKey(engine: string, model: string): string {
  return `rates/${engine}/${model}.polls.json`;
}

/**
 * Key of what those who ask by one key tell each other, so that they divide its rate.
 *
 * @param account Of the key, see `engine/engine.ts`.
 */
export function sharedRateKey(engine: string, model: string, account: string): string {
  return `rates/${engine}/${model}.shared-${account}.json`;
}

/** Key of the stored answer for an image. @param sha256 Of the image's bytes, lower-case hex. */
export function answerKey(engine: string, model: string, sha256: string): string {
  return `${answerPrefix(engine, model)}${sha256.slice(0, 2)}/${sha256}.json.gz`;
}

/**
 * The engine and the model of a stored answer by its key; `undefined` for any other key.
 *
 * @param sha256 Of the image that it is for.
 */
export function askedBy(
  key: string,
  sha256: string,
): { readonly engine: string; readonly model: string } | undefined {
  const [, engine, model] = /^responses\/([^/]+)\/([^/]+)\//.exec(key) ?? [];
  if (engine === undefined || answerKey(engine, model, sha256) !== key) return undefined;
  return { engine, model };
}

/** What tells versions of an object apart in the names of their copies. @param etag Of one. */
export function setAsideMark(etag: string): string {
  return etag.replace(/[^A-Za-z0-9]/g, "").slice(0, 64) || "unknown";
}

/**
 * Where an answer that can't be used is kept for inspection: beside the answers, never among them.
 *
 * @param mark Tells several for one image apart: safe as part of a key.
 */
export function answerSetAside(
  engine: string,
  model: string,
  sha256: string,
  mark: string,
): string {
  return `${answersSetAside(engine, model, sha256)}${mark}.json.gz`;
}

/** What the names of all copies for one image begin with. */
export function answersSetAside(engine: string, model: string, sha256: string): string {
  return `responses/set_aside/${engine}/${model}/${sha256}.`;
}

/**
 * Key of what the answer to a paid page is collected with, while it is being worked on: beside the
 * answers, never among them.
 */
export function ticketKey(engine: string, model: string, sha256: string): string {
  return `${ticketPrefix(engine, model)}${sha256.slice(0, 2)}/${sha256}.json`;
}

/** What the names of all tickets of a model begin with. */
export function ticketPrefix(engine: string, model: string): string {
  return `responses/tickets/${engine}/${model}/`;
}

/** Where a ticket that can't be read is kept for inspection. @param mark Safe as part of a key. */
export function ticketSetAside(
  engine: string,
  model: string,
  sha256: string,
  mark: string,
): string {
  return `${answersSetAside(engine, model, sha256)}ticket.${mark}.json`;
}

/** Key of the claim of whoever is asking for an image just now. */
export function claimKey(engine: string, model: string, sha256: string): string {
  return `claims/${engine}/${model}/${sha256}.json`;
}

/** Key of what a run writes when it meets another one in the store. */
export function meetingKey(engine: string, model: string): string {
  return `claims/${engine}/${model}/meeting.json`;
}

/** Key of what people look at, `report.html` and the like; nothing else reads it. */
export function reportKey(dataset: string, name: string): string {
  return `${REPORTS}${dataset}/${name}`;
}

/** Key of what a truth says of the labels. */
export function evaluationKey(dataset: string): string {
  return reportKey(dataset, "evaluation.json");
}

/** Key of which labels are good enough, for `export --filter`. */
export function filterKey(dataset: string): string {
  return reportKey(dataset, "filter.json");
}

/** Key of how far two engines agree on a data set, all pages together. */
export function agreementReportKey(dataset: string): string {
  return reportKey(dataset, "agreement.json");
}

/** Key of how two data sets' labels differ. @param other Name of the other one. */
export function comparisonKey(dataset: string, other: string): string {
  return reportKey(dataset, `compare_${other}.json`);
}

/** Key of what reviewers have marked in a data set. */
export function reviewsKey(dataset: string): string {
  return `${REVIEWS}${dataset}/marks.json`;
}

/** Key of a copy of an image that lay elsewhere. @param path Safe as part of a key. */
export function copiedKey(dataset: string, path: string): string {
  return `images/${dataset}/${path}`;
}

/** Key of what an image was converted to. @param sha256 Of the original's bytes, lower-case hex. */
export function convertedKey(dataset: string, sha256: string, extension: string): string {
  return `${CONVERTED}${dataset}/${sha256.slice(0, 2)}/${sha256}.${extension}`;
}
const CONVERTED = "converted/";

/** Key of what was found when the input was prepared. */
export function preparedKey(dataset: string): string {
  return reportKey(dataset, "prepared.json");
}
const REPORTS = "reports/";
const REVIEWS = "reviews/";

/**
 * Whether an object is one that this program keeps beside the images, or makes of them.
 *
 * @param checkpointPrefix Empty, or ends with a slash.
 */
export function isOwnKey(key: string, checkpointPrefix: string): boolean {
  const own = [...SHARED, CONVERTED, REPORTS, REVIEWS, "data/processed/", checkpointPrefix];
  return own.some((prefix) => prefix !== "" && key.startsWith(prefix));
}

/** Below it lie the pages of a data set that somebody has checked. */
export function checkedPrefix(dataset: string): string {
  return `reviews/${dataset}/pages/`;
}

/** Key of a checked page. @param idHash SHA-256 of the row's id, lower-case hex. */
export function checkedKey(dataset: string, idHash: string): string {
  return `${checkedPrefix(dataset)}${idHash}.json`;
}

/** Below it lies an export, unless another place is named. */
export function exportPrefix(dataset: string, format: string): string {
  return `exports/${dataset}/${format}/`;
}

/** Below these lie what was paid for and what was learnt, of all data sets together. */
const SHARED = [ANSWERS, "rates/", "claims/"];
/** What a data set keeps below `{prefix}{dataset}/`, see {@linkcode CheckpointKeys}. */
const STATE =
  /^((manifest|result|lease|ledger|spending|heartbeat)\.json$|(gen\d+\/)?batch_\d{6,}\.parquet$|set_aside\/)/;

/**
 * What of all data sets an object of that name, or a prefix, is or would be among; `undefined` if
 * of none. A data set's state there would be taken for an answer.
 */
export function sharedBy(key: string): string | undefined {
  const shared = SHARED.find((name) => `${key}/`.startsWith(name));
  return shared && `below ${shared}, where this program keeps what all data sets share`;
}

/**
 * What of the program's own an object of that name is or would be among; `undefined` if it may be
 * anybody's. Inputs and outputs can't have such names.
 *
 * @param prefix As for {@linkcode CheckpointKeys}, with the data set's name.
 */
export function reservedFor(key: string, prefix: string, dataset: string): string | undefined {
  const shared = sharedBy(key);
  if (shared) return shared;
  const folders = [
    reportKey(dataset, ""),
    reviewsKey(dataset).replace(/[^/]*$/, ""),
    exportPrefix(dataset, "").slice(0, -1),
  ];
  for (const own of folders) {
    if (!key.startsWith(own)) continue;
    return `below ${own}, where reports, reviews and exports of the data set lie`;
  }
  if (!key.startsWith(prefix)) return undefined;
  const [name, ...rest] = key.slice(prefix.length).split("/");
  if (name !== dataset && !STATE.test(rest.join("/"))) return undefined;
  return `below ${prefix}${name}/, where the state of data set '${name}' lies (--checkpoint-prefix)`;
}

/** Names of one data set's checkpoints below `{prefix}{dataset}/`. */
export class CheckpointKeys {
  /** `{prefix}{dataset}/`: the slash keeps `train` and `train_v2` apart. */
  readonly root: string;
  /** What this run is. */
  readonly manifest: string;
  /** That the output is written, and what it holds. */
  readonly result: string;
  /** Who works on the data set now. */
  readonly lease: string;
  /** What the data set has cost, by run. */
  readonly ledger: string;
  /** What the run has spent at most. */
  readonly spending: string;
  /** How far the process is that works on the data set. */
  readonly heartbeat: string;

  /** Below it each data set has a folder of its own: empty, or ends with a slash. */
  readonly prefix: string;

  /** Names only; nothing is read. @param prefix Empty, or ends with a slash. */
  constructor(prefix: string, dataset: string) {
    this.prefix = prefix;
    this.root = `${prefix}${dataset}/`;
    this.manifest = `${this.root}manifest.json`;
    this.result = `${this.root}result.json`;
    this.lease = `${this.root}lease.json`;
    this.ledger = `${this.root}ledger.json`;
    this.spending = `${this.root}spending.json`;
    this.heartbeat = `${this.root}heartbeat.json`;
  }

  /**
   * Key of batch `index`, from 0; six digits, more if need be.
   *
   * @param generation Of the input, from 1; those of later ones have a folder each.
   */
  batch(index: number, generation = 1): string {
    return `${this.batches(generation)}${String(index).padStart(6, "0")}.parquet`;
  }

  /** What the keys of all batches of a generation begin with. */
  batches(generation = 1): string {
    return `${this.root}${generation === 1 ? "" : `gen${generation}/`}batch_`;
  }

  /** Where a damaged batch object is kept for inspection. */
  setAside(index: number, mark: string, generation = 1): string {
    const of = generation === 1 ? "" : `gen${generation}_`;
    return `${this.root}set_aside/${of}batch_${String(index).padStart(6, "0")}.${mark}.parquet`;
  }

  /** The batch that a key names, and its generation; `undefined` for any other key. */
  batchOf(key: string): { readonly index: number; readonly generation: number } | undefined {
    if (!key.startsWith(this.root)) return undefined;
    const match = /^(?:gen(\d{1,9})\/)?batch_(\d{6,})\.parquet$/.exec(key.slice(this.root.length));
    if (!match) return undefined;
    const [generation, index] = [Number(match[1] ?? 1), Number(match[2])];
    return this.batch(index, generation) === key ? { index, generation } : undefined;
  }

  /** The batch of that generation that a key names; `undefined` for any other key. */
  batchIndex(key: string, generation = 1): number | undefined {
    const batch = this.batchOf(key);
    return batch?.generation === generation ? batch.index : undefined;
  }
}
