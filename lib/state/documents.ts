/**
 * @module state/documents: every JSON document that the program keeps in storage: one schema each,
 * which checks what is read back, and the type that follows from it. `docs/DATA_CATALOG.md`
 * explains them to people, `state/keys.ts` names them.
 *
 * A number beyond 2^53 or a negative count is damage, not a value.
 */

import { type Schema, z } from "../base/json.ts";
import { MOST_RATE } from "../pace/judge.ts";
import type { LearntRate } from "../pace/types.ts";

const count = z.int().nonnegative();
const finite = z.number();
/** ISO 8601, UTC. */
const timestamp = z.iso.datetime();

/** For whom an answer was paid: exactly one row of one run. */
export const paidBy = z.object({
  dataset: z.string(),
  run_id: z.string(),
  /** `id` of the row. */
  row_id: z.string(),
});
/** For whom an answer was paid. */
export type PaidBy = z.infer<typeof paidBy>;

/** A stored answer with its envelope. */
export const storedAnswer = z.object({
  format: z.literal("pseudolabel-response/1"),
  engine: z.string(),
  /** Model that was asked for. */
  model: z.string(),
  /** Lower-case hex. */
  image_sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Length of the image. */
  image_bytes: count,
  /** Media type the image was sent as. */
  media_type: z.string(),
  /**
   * The picture as its file stores it: pixels, EXIF orientation; absent of documents, and in
   * answers that earlier versions stored.
   */
  picture: z.object({
    width: count.positive(),
    height: count.positive(),
    orientation: count.min(1).max(8),
  }).optional(),
  /** Requests it took. */
  attempts: count,
  received_at: timestamp,
  paid_by: paidBy,
  /** The answer that lay here before and was asked for again: where its copy is, and why. */
  replaces: z.object({ copy: z.string(), reason: z.string() }).optional(),
  /** The API's own JSON, untouched. */
  body: z.unknown(),
});
/** A stored answer with its envelope. */
export type StoredAnswer = z.infer<typeof storedAnswer>;

/** What the answer to a page is collected with that is paid for and being worked on. */
export const ticketDocument = z.object({
  format: z.literal("pseudolabel-ticket/1"),
  engine: z.string(),
  /** Model that was asked for. */
  model: z.string(),
  /** Of the image, lower-case hex. */
  image_sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** When the engine took the page. */
  accepted_at: timestamp,
  /** Requests that it took. */
  attempts: count,
  paid_by: paidBy,
  /** The engine's own: a request id. Holds no secret. */
  ticket: z.unknown(),
  /** What the engine says where it has worked on the page in vain: there will be no answer. */
  failed: z.string().optional(),
});
/** What the answer to a paid page is collected with. */
export type TicketDocument = z.infer<typeof ticketDocument>;

/** An input object and its number of rows. */
const inputObject = z.object({ url: z.string(), etag: z.string(), bytes: count, rows: count });
/** One that was followed by another. */
const earlierInput = inputObject.extend({
  /** The run that was made of it, and when it began. */
  run_id: z.string(),
  at: timestamp,
  /** Rows in a checkpoint of it; absent where it is that of the manifest. */
  batch_size: count.positive().optional(),
  /**
   * How many rows of its sample the following input has; absent where there was no sample to look
   * for.
   */
  shared: count.optional(),
});

/** What a run is: written once, before anything is paid; a resumed run must agree with it. */
export const manifest = z.object({
  format: z.literal("pseudolabel-manifest/1"),
  /** Marks what belongs to this run. */
  run_id: z.string(),
  dataset: z.string(),
  /** The input object and its number of rows. */
  input: inputObject,
  /** How many inputs the data set has had, this one included; absent for the first. */
  generation: count.positive().optional(),
  /** The earlier ones, oldest first. */
  inputs: z.array(earlierInput).optional(),
  /** Hashes of some of its rows (`dataset/row_sample.ts`), by which another input is told to share none of them. */
  sample: z.string().optional(),
  /**
   * Whether rows of finished batches are being asked for again (`--retry-failed`), or were by a
   * process that did not come to its end: then there may be answers that no batch knows of.
   */
  retrying: z.boolean().optional(),
  /** URL of the output, once it was made sure that nothing else lies there. */
  output: z.string().optional(),
  /** Rows in a checkpoint. */
  batch_size: count.positive(),
  engine: z.string(),
  /** Model that is asked for. */
  model: z.string(),
  /** Engines that were asked, or may have been, where that one failed; absent for none. */
  fallbacks: z.array(z.object({ engine: z.string(), model: z.string() })).optional(),
  /** Version of the row layout. */
  schema_version: z.string(),
  created_at: timestamp,
  /** Program and version. */
  created_by: z.string(),
  /** `AWS_BATCH_JOB_ID` of the process that began the run; null outside Batch. */
  batch_job_id: z.string().nullable(),
});
/** What a run is. */
export type Manifest = z.infer<typeof manifest>;

/** Rows by how they ended; whoever makes one counts it up. */
export const rowCounts = z.object({
  rows: count,
  /** Words were found. */
  ok: count,
  /** The page holds no words. */
  empty: count,
  /** The page could not be read. */
  failed: count,
  /** Failed rows by `error_code`. */
  failures: z.record(z.string(), count),
  /** Rows whose input width and height differ from what the API saw. */
  size_mismatches: count,
});
/** Rows by how they ended. */
export type RowCounts = z.infer<typeof rowCounts>;

const paid = z.object({ answers: count, billed_pages: count, attempts: count });
/** What engines were paid besides the run's own, by `engine/model`. */
const paidByEngine = z.record(z.string(), paid);

/** What the rows of a batch, or of a run, have cost; whoever makes one adds it up. */
export const spent = z.object({
  /** Rows whose answer was paid for another row, run or data set. */
  answers_reused: count,
  /** Requests for pages that failed for good. */
  failed_attempts: count,
  /** What was paid for rows of this data set, by the run that paid. */
  runs: z.record(z.string(), paid),
  /** What of it went to engines besides the run's own, by run; absent where nothing did. */
  others: z.record(z.string(), paidByEngine).optional(),
});
/** What rows have cost. */
export type Spent = z.infer<typeof spent>;

/**
 * What a checkpoint says of itself, in its Parquet footer under {@linkcode CHECKPOINT_FOOTER_KEY}.
 */
export const checkpointFooter = z.object({
  /** The run it belongs to. */
  run_id: z.string(),
  /** Which batch, from 0. */
  batch: count,
  counts: rowCounts,
  spent,
  /**
   * Rows, by position in the batch, for which another engine than their own was paid, too, by
   * `engine/model`: what is in `spent` of that. Absent where nobody was.
   */
  others: z.record(z.string(), z.array(count)).optional(),
});
/** What a checkpoint says of itself. */
export type CheckpointFooter = z.infer<typeof checkpointFooter>;
/** Where in a Parquet footer's key-value metadata a checkpoint speaks of itself. */
export const CHECKPOINT_FOOTER_KEY = "pseudolabel.checkpoint";

const markOfRow = z.tuple([
  /** Version of the image object when it was read, as the store names it; null where it doesn't. */
  z.string().nullable(),
  /** Length of the image. */
  count,
  /** SHA-256 of the image, lower-case hex: its answer is stored under it. */
  z.string().regex(/^[0-9a-f]{64}$/),
  /** Which of `payers` paid for the answer, for this very row; null if another row did. */
  count.nullable(),
  /**
   * When that version was written, by the store's clock, milliseconds since the epoch; null where
   * the store doesn't say. Absent in checkpoints of versions that did not ask.
   */
  z.number().nullable().optional(),
]).nullable();

/**
 * What a checkpoint keeps of the images of its rows, so that rows can be taken over without reading
 * these again. In its Parquet footer, under {@linkcode IMAGES_FOOTER_KEY}.
 */
export const checkpointImages = z.object({
  /** Ids of runs. */
  payers: z.array(z.string()),
  /** In the order of the rows; null for one that failed. */
  rows: z.array(markOfRow),
  /** Hashes of all rows in their order, see `dataset/row_keys.ts`; absent in earlier versions. */
  keys: z.string().optional(),
});
/** What a checkpoint keeps of the images of its rows. */
export type CheckpointImages = z.infer<typeof checkpointImages>;
/** Where in a Parquet footer's key-value metadata a checkpoint speaks of its images. */
export const IMAGES_FOOTER_KEY = "pseudolabel.images";

/** What the output says of itself; nothing that differs between two runs over the same answers. */
export const outputFooter = z.object({
  dataset: z.string(),
  /** URL of the input. */
  input: z.string(),
  input_etag: z.string(),
  engine: z.string(),
  model: z.string(),
  schema_version: z.string(),
});
/** What the output says of itself. */
export type OutputFooter = z.infer<typeof outputFooter>;
/** Where in a Parquet footer's key-value metadata the output speaks of itself. */
export const OUTPUT_FOOTER_KEY = "pseudolabel.output";

/** Mark that the output is written. */
export const runResult = z.object({
  format: z.literal("pseudolabel-result/1"),
  /** The run whose output it is. */
  run_id: z.string(),
  output: z.object({ url: z.string(), etag: z.string(), bytes: count }),
  counts: rowCounts,
  spent,
  finished_at: timestamp,
});
/** Mark that the output is written. */
export type RunResult = z.infer<typeof runResult>;

const ledgerEntry = z.object({
  engine: z.string(),
  model: z.string(),
  /** Answers that the run paid for. */
  answers: count,
  /** Pages on the bill for them. */
  billed_pages: count,
  /**
   * Pages beyond these that it may have been billed: one of its processes was killed, and another
   * input came before all its rows were done.
   */
  unsure_pages: count.optional(),
  /** Requests that they took. */
  attempts: count,
  /** What of it went to other engines, by `engine/model`; absent where nothing did. */
  others: paidByEngine.optional(),
  /** Rows of it whose answer was there already. */
  answers_reused: count,
  updated_at: timestamp,
});
/** What one run was billed for a data set. */
export type LedgerEntry = z.infer<typeof ledgerEntry>;

/** What a data set has cost, by run id. */
export const ledger = z.object({
  format: z.literal("pseudolabel-ledger/1"),
  dataset: z.string(),
  runs: z.record(z.string(), ledgerEntry),
});
/** What a data set has cost. */
export type Ledger = z.infer<typeof ledger>;

/** The upper bound of what a run has spent. */
export const spending = z.object({
  format: z.literal("pseudolabel-spending/1"),
  run_id: z.string(),
  /** Pages that it was billed at most. */
  reserved_pages: count,
  /** US dollars that these cost at most; only where engines of several prices are asked. */
  reserved_dollars: finite.nonnegative().optional(),
  /** Pages that it was billed for sure when this was written; absent in earlier versions. */
  billed_pages: count.optional(),
});
/** The upper bound of what a run has spent. */
export type Spending = z.infer<typeof spending>;

/** Who works on a data set. */
export const leaseDocument = z.object({
  format: z.literal("pseudolabel-lease/1"),
  /** The process, for programs. */
  holder: z.string(),
  /** The process, for people. */
  owner: z.string(),
  /** Grows with every change of hands. */
  generation: count,
  /** Not renewed for so long, it is over; milliseconds. */
  ttl_ms: count.positive(),
  acquired_at: timestamp,
  renewed_at: timestamp,
  /** Whether it was given up in order. */
  released: z.boolean(),
});
/** Who works on a data set. */
export type LeaseDocument = z.infer<typeof leaseDocument>;

/** A row that failed, as an example of its code. Texts are cut to what fits a line. */
const failureExample = z.object({
  code: z.string(),
  /** Position in the input, from 0. */
  row: count,
  id: z.string(),
  image_path: z.string(),
  message: z.string(),
});
/** A row that failed, as an example of its code. */
export type FailureExample = z.infer<typeof failureExample>;

/**
 * How far the process that holds the lease is, for whoever looks from outside. News, never truth:
 * what is done, the checkpoints say, and who is at work, the lease. Times are of the process's own
 * clock.
 */
export const heartbeat = z.object({
  format: z.literal("pseudolabel-heartbeat/1"),
  run_id: z.string(),
  /** The process, as in its lease. */
  holder: z.string(),
  /** The process, for people. */
  owner: z.string(),
  /** Whether the lease is renewed: a store without conditional writes can't keep others off. */
  leased: z.boolean(),
  started_at: timestamp,
  at: timestamp,
  /** Seconds since `started_at`. */
  elapsed_s: finite.nonnegative(),
  /** Seconds in which no row was done and no page came back. */
  quiet_s: finite.nonnegative(),
  /** Rows of the data set. */
  total: count,
  /** Rows that were done when the process began, and stay as they are. */
  done_before: count,
  /** Rows done so far, those of batches that are not whole yet among them. */
  counts: rowCounts,
  /** Finished batches: which, as in `0-11,13`, and what their footers say together. */
  finished: z.object({ batches: z.string(), counts: rowCounts }),
  /** Whether rows of finished batches are made anew. */
  revising: z.boolean(),
  /** Rows per second over the last minute. */
  rows_per_s: finite.nonnegative(),
  /** Seconds left; null while that is unknown. */
  eta_s: finite.nonnegative().nullable(),
  /** Requests per second that are allowed just now; null where nothing is asked. */
  rate: finite.positive().nullable(),
  /** What the process did. */
  requests: count,
  throttled: count,
  /** Of these, answered 429 within the last minute. */
  throttled_lately: count,
  retries: count,
  in_flight: count,
  answers_reused: count,
  /** Pages that the process was billed, and the run as far as known. */
  pages_billed: count,
  pages_billed_run: count,
  /** US dollars. */
  price_per_page: finite.nonnegative(),
  /** Pages that the run may be billed at most, and the option that says so; null for no limit. */
  max_pages: count.nullable(),
  limit: z.string().nullable(),
  max_failure_rate: finite,
  /** Why no request starts just now, and for how many seconds. */
  paused: z.object({ what: z.string(), for_s: finite.nonnegative() }).nullable(),
  /** Whether it was asked to stop. */
  stopping: z.boolean(),
  /** A few of the rows that failed, of each code. */
  failures: z.array(failureExample),
  /** How it went so far, thinned out the longer it takes; counts are since the process began. */
  history: z.array(z.object({
    elapsed_s: finite.nonnegative(),
    requests: count,
    throttled: count,
    rate: finite.positive().nullable(),
  })).optional(),
  /** Images whose request took longest, the slowest first. */
  slowest: z.array(z.object({
    /** Of the image, lower-case hex. */
    sha256: z.string(),
    seconds: finite.nonnegative(),
  })).optional(),
  /** How the process ended; null while it goes on, and for ever where it was killed. */
  ended: z.object({ exit: count, reason: z.string() }).nullable(),
});
/** How far the process is that holds the lease. */
export type HeartbeatDocument = z.infer<typeof heartbeat>;

/** Who is asking for an image just now. */
export const claimDocument = z.object({
  format: z.literal("pseudolabel-claim/1"),
  /** Key of the lease that the process holds. */
  lease: z.string(),
  /** The process, for programs. */
  holder: z.string(),
  /** The process, for people. */
  owner: z.string(),
  /** Not renewed for so long, it is over; milliseconds. */
  ttl_ms: count.positive(),
  renewed_at: timestamp,
});
/** Who is asking for an image just now. */
export type ClaimDocument = z.infer<typeof claimDocument>;

/** That a process has found another one at work in the store. */
export const meetingDocument = z.object({
  format: z.literal("pseudolabel-meeting/1"),
  /** The process, for programs. */
  holder: z.string(),
  /** The process, for people. */
  owner: z.string(),
  at: timestamp,
  /** Leases of the runs that know that they are not alone; its own is the first. */
  known_by: z.array(z.string()).optional(),
});
/** That a process has found another one at work in the store. */
export type MeetingDocument = z.infer<typeof meetingDocument>;

/** What was found when the input of a data set was prepared. */
export const preparedDocument = z.object({
  format: z.literal("pseudolabel-prepared/1"),
  dataset: z.string(),
  /** The place with the images, or of the table. */
  source: z.string(),
  /** The input that was written; null where no image could be taken. */
  input: z.object({ url: z.string(), etag: z.string(), bytes: count, rows: count }).nullable(),
  /** Objects, or rows of a table, that were looked at. */
  found: count,
  /** Rows of the input. */
  taken: count,
  /** Rows that were as they were in the input before, and were not looked at again. */
  reused: count,
  /** Images that were brought into the store. */
  copied: count,
  /** Images that were turned upright or made one that the engine takes. */
  converted: count,
  /** Images that were taken as they are, although they should have been converted, by why. */
  not_converted: z.record(z.string(), count),
  /** Rows by media type, by EXIF orientation and by split. */
  media_types: z.record(z.string(), count),
  orientations: z.record(z.string(), count),
  splits: z.record(z.string(), count),
  /** What was left out, by reason. */
  skipped: z.record(
    z.string(),
    z.object({
      count,
      /** What the reason means, and what to do. */
      meaning: z.string(),
      /** The first of them. */
      examples: z.array(z.object({ address: z.string(), detail: z.string().optional() })),
    }),
  ),
  started_at: timestamp,
  finished_at: timestamp,
  /** Program and version. */
  created_by: z.string(),
});
/** What was found when the input of a data set was prepared. */
export type PreparedDocument = z.infer<typeof preparedDocument>;

/** Where in a Parquet footer's key-value metadata a prepared input says how it was made. */
export const PREPARED_FOOTER_KEY = "pseudolabel.prepared";

/** What was learnt about a model's rate limit. */
export const learntRate: Schema<LearntRate & { readonly server?: string }> = z.object({
  /** Whom it was learnt of; absent in older documents. */
  server: z.string().optional(),
  rate: finite.positive(),
  ceiling: finite.positive().nullable(),
  latency_ms: finite.positive().nullable(),
  /** Requests in flight that were worth it; absent where the rate is what was learnt. */
  in_flight: count.positive().optional(),
  at: finite,
});

/** How those who ask by one key divide its rate. Times are of the clocks of who wrote them. */
const sharePlan = z.object({
  version: count,
  /** Whatever lies there, it is no storm. */
  rate: finite.positive().max(MOST_RATE),
  held: finite.positive().max(MOST_RATE),
  from: finite,
  afterMs: finite.nonnegative().nullable(),
  members: z.array(z.string()).min(2),
  ceiling: finite.positive().nullable(),
  step: finite.positive(),
  guess: z.boolean(),
  hurried: z.boolean(),
  lost: finite.positive().max(MOST_RATE).nullable(),
  failed: count,
  tried: z.object({ version: count, rate: finite.positive().max(MOST_RATE) }).nullable(),
});
/** What they tell each other. */
export const sharing = z.object({
  format: z.literal("pseudolabel-sharing/2"),
  plans: z.array(sharePlan),
  members: z.array(z.object({
    id: z.string(),
    beat: count,
    rate: finite.nonnegative(),
    ceiling: finite.positive().nullable(),
    knows: z.boolean(),
    counts: z.array(z.object({
      version: count,
      started: finite.nonnegative(),
      refused: finite.nonnegative(),
      missed: finite.nonnegative(),
      taken: finite.nonnegative(),
    })),
  })),
});

/** Counts by range; an end of null is open. */
const binned = z.object({
  /** One more than counts, growing. */
  edges: z.array(finite.nullable()),
  counts: z.array(count),
  /** How many had no value. */
  unknown: count,
});
/** Counts by range. */
export type Binned = z.infer<typeof binned>;

const reportPage = z.object({
  /** Position in the output, from 0. */
  row: count,
  id: z.string(),
  status: z.enum(["ok", "empty", "failed"]),
  words: count,
  /** 0 to 1. */
  confidence: finite.nullable(),
  attempts: count,
});
/** A page that a report names. */
export type ReportPage = z.infer<typeof reportPage>;

/**
 * What a data set's labels look like, in figures; for programs what `report.html` is for people.
 */
export const reportDocument = z.object({
  format: z.literal("pseudolabel-report/1"),
  dataset: z.string(),
  made_at: timestamp,
  made_by: z.string(),
  /** Whether all rows are in it, or those of the batches that are finished. */
  complete: z.boolean(),
  run: z.object({
    run_id: z.string(),
    engine: z.string(),
    model: z.string(),
    created_at: timestamp,
    finished_at: timestamp.nullable(),
    batch_job_id: z.string().nullable(),
  }),
  /** URLs. */
  input: z.string(),
  output: z.string(),
  rows: z.object({
    /** Of the input. */
    total: count,
    /** In this report. */
    done: count,
    ok: count,
    empty: count,
    failed: count,
    size_mismatches: count,
  }),
  /** Failed rows by code, the most first, with the first few of each. */
  failures: z.array(z.object({
    code: z.string(),
    count,
    examples: z.array(z.object({ row: count, id: z.string(), message: z.string() })),
  })),
  cost: z.object({
    pages_billed: count,
    /** US dollars. */
    price_per_page: finite.nonnegative(),
    dollars: finite.nonnegative(),
    answers_reused: count,
    failed_attempts: count,
  }),
  words: z.object({
    total: count,
    /** With a character that the API could not name. */
    unknown: count,
    outside_page: count,
    /** Below 0.8. */
    low_confidence: count,
    confidence: binned,
    /** Pixels. */
    height: binned,
  }),
  pages: z.object({
    confidence: binned,
    words: binned,
    /** Share of a page that lies in boxes. */
    coverage: binned,
    /** Medians of pages with words. */
    usual: z.object({
      confidence: finite.nullable(),
      words: finite.nullable(),
      coverage: finite,
      span: finite,
    }),
    /**
     * Pages that were read by the frame in which the engine has read the picture, as their rows say
     * it; absent in reports of earlier versions, and rows of these are in none.
     */
    frames: z.object({ upright: count, stored: count, unknown: count }).optional(),
    /** By the requests that they took. */
    attempts: z.record(z.string(), count),
  }),
  time: z.object({
    /** Where the first bucket begins. */
    from: timestamp,
    bucket_s: finite.positive(),
    /** Answers by bucket. */
    answered: z.array(count),
    /** Answers from before the run. */
    before: count,
    /** Requests a second that the API documents. */
    documented_rate: finite.positive().nullable(),
    /** The latest process, by step of time; null where it left no heartbeat. */
    process: z.object({
      from: timestamp,
      bucket_s: finite.positive(),
      /** A second. */
      requests: z.array(finite.nonnegative()),
      /** A second; answered 429. */
      throttled: z.array(finite.nonnegative()),
      /** Requests a second that were allowed. */
      rate: z.array(finite.positive().nullable()),
    }).nullable(),
  }),
  /** The most doubtful pages, worst first. */
  doubtful: z.array(reportPage.extend({ score: finite, reasons: z.array(z.string()) })),
  least_confident: z.array(reportPage),
  most_tried: z.array(reportPage),
  /** Pages whose request took longest, by this process's clock; empty where that is not known. */
  slowest: z.array(reportPage.extend({ seconds: finite.nonnegative() })),
});
/** What a data set's labels look like. */
export type ReportDocument = z.infer<typeof reportDocument>;

const reviewMark = z.object({
  /** `id` of the row. */
  id: z.string(),
  /** Position in the output when it was marked, from 0. */
  row: count,
  /** What is said of the page's labels. */
  verdict: z.literal("wrong"),
  /** In words; may be empty. */
  note: z.string(),
  /** Who says so. */
  by: z.string(),
  at: timestamp,
  /** The image that was looked at, lower-case hex; null where it was never read. */
  image_sha256: z.string().nullable(),
});
/** What a reviewer says of a page. */
export type ReviewMark = z.infer<typeof reviewMark>;

/** What reviewers say of a data set's pages, at most one mark a page. */
export const reviews = z.object({
  format: z.literal("pseudolabel-reviews/1"),
  dataset: z.string(),
  marks: z.array(reviewMark),
});
/** What reviewers say of a data set's pages. */
export type ReviewsDocument = z.infer<typeof reviews>;

/** A page that somebody has checked in the gallery: what is written on it. */
export const checkedPage = z.object({
  format: z.literal("pseudolabel-checked-page/1"),
  dataset: z.string(),
  /** `id` of the row. */
  id: z.string(),
  image_path: z.string(),
  /** Of the image that was looked at, lower-case hex; null where it was never read. */
  image_sha256: z.string().nullable(),
  /** Of the page that the points are pixels of; null where that isn't known. */
  width: z.number().positive().nullable(),
  height: z.number().positive().nullable(),
  /** All words, those that were put right and those that were missing among them. */
  words: z.array(z.object({
    polygon: z.array(z.array(z.number())),
    text: z.string(),
    /** Its position among the row's words; null for one that was missing. */
    word: count.nullable(),
    /** Where the engine had put it, if it was moved. */
    from: z.array(z.array(z.number())).optional(),
  })),
  /** How many of them were changed, moved, added, and taken away. */
  changed: count,
  moved: count.optional(),
  added: count,
  removed: count,
  /** How the page came to be looked at: as a doubtful one, by chance, or by name. */
  picked: z.enum(["worst", "sample", "named"]),
  by: z.string(),
  at: timestamp,
});
/** A page that somebody has checked. */
export type CheckedPage = z.infer<typeof checkedPage>;

/** Shares are 0 to 1, and null where nothing was counted. */
const share = finite.nullable();
const unpaired = z.object({ count, examples: z.array(z.string()) });

const recognition = z.object({
  /** Boxes of the truth that were found and whose text is known. */
  pairs: count,
  equal: count,
  accuracy: share,
  /** Mean of 1 − distance / greater length. */
  one_minus_ned: share,
  /** Sum of distances by sum of the truths' lengths. */
  cer: finite.nullable(),
});

const scores = z.object({
  pages: count,
  /** ICDAR 2015: IoU above 0.5, one to one, don't-care aside. */
  detection: z.object({
    truths: count,
    detections: count,
    matched: count,
    precision: share,
    recall: share,
    hmean: share,
  }),
  /** Found, and the text is equal. */
  end_to_end: z.object({
    matched: count,
    precision: share,
    recall: share,
    hmean: share,
    /** As below, with 0 for everything missed or spurious. */
    one_minus_ned: share,
    /** As below, with all characters of what was missed or spurious; may exceed 1. */
    cer: finite.nullable(),
  }),
  /** How well that was read which was found. */
  recognition,
});
/** How good labels are. */
export type Scores = z.infer<typeof scores>;

const textScores = z.object({
  truths: count,
  recall: share,
  end_to_end_recall: share,
  recognition,
});
/** How good labels are on some boxes of the truth. */
export type TextScores = z.infer<typeof textScores>;

const reliability = z.object({
  /** Judged words with a confidence. */
  words: count,
  without_confidence: count,
  /** Expected calibration error. */
  ece: share,
  /** Bins of about equally many words, by growing confidence. */
  bins: z.array(z.object({
    /** Least and greatest confidence. */
    from: finite,
    to: finite,
    words: count,
    /** Mean. */
    confidence: finite,
    right: count,
    accuracy: finite,
    /** Wilson's interval of the accuracy at 95 %. */
    low: finite,
    high: finite,
  })),
});
/** Whether confidences mean what they say. */
export type Reliability = z.infer<typeof reliability>;

const ranking = z.object({
  /** The chance that a wrong word is less sure than a right one. */
  auroc: share,
  /** Of finding wrong words by looking at the least sure first. */
  average_precision: share,
  /** Share of wrong words among the surest. */
  kept: z.array(z.object({ share: finite, words: count, errors: share })),
});
/** How well a figure of words tells wrong ones from right ones. */
export type Ranking = z.infer<typeof ranking>;

const errorRanking = z.object({
  /** Judged words that have all figures, and how many of them are wrong. */
  words: count,
  wrong: count,
  /** Judged words that lack one. */
  without: count,
  /** The engines whose agreement it is; null where none belongs to these labels. */
  engines: z.array(z.string()).nullable(),
  /** Null where the engine gives none. */
  confidence: ranking.nullable(),
  /** Null without it. */
  agreement: ranking.nullable(),
  /** By the sum of both; likewise. */
  both: ranking.nullable(),
});
/** How well confidence and agreement tell wrong words from right ones. */
export type ErrorRanking = z.infer<typeof errorRanking>;

const level = z.object({
  min_confidence: finite,
  /** Judged words that are accepted, and how many of them are wrong. */
  words: count,
  wrong: count,
  /** Pages of which most accepted words are wrong; absent in documents of earlier versions. */
  bad_pages: count.optional(),
  /** Share of errors that is not exceeded, at the confidence asked for. */
  upper_bound: finite,
});
const threshold = z.object({
  target_error: finite,
  /** Of the statement, 0 to 1. */
  confidence: finite,
  /** The lowest level that keeps the target; null where none could be certified. */
  level: level.nullable(),
  /** The first that does not. */
  failed: level.nullable(),
  /** Why there is none. */
  why: z.enum(["few_words", "few_pages", "errors"]).nullable(),
  /** So many words of a page count as one. */
  design_effect: finite,
  words: count,
  pages: count,
  /** Words without a single error that it takes at least. */
  least_words: count,
  /** Pages, none of them bad, that it takes at least; absent in documents of earlier versions. */
  least_pages: count.optional(),
  /** Whether all kinds of pages were taken to be in the truth; absent likewise, where they were. */
  pages_alike: z.boolean().optional(),
  /**
   * Share of all words of the labels that lie on pages of more than twice as many words as any of
   * the truth; absent likewise.
   */
  larger_pages: finite.optional(),
});
/** A threshold that was looked for. */
export type ThresholdFound = z.infer<typeof threshold>;

const corner = z.array(z.number());
/** A page that a truth shows to be bad. */
const worstPage = z.object({
  row: count,
  id: z.string(),
  truths: count,
  detections: count,
  matched: count,
  equal: count,
  /** The first errors, in the order of the truth. */
  errors: z.array(z.object({
    kind: z.enum(["missed", "misread", "spurious"]),
    /** Pixels of the picture. */
    polygon: z.array(corner),
    /** What was read, and what is there, as they were compared. */
    read: z.string().nullable(),
    truth: z.string().nullable(),
  })),
});

/** How good a data set's labels are, by a truth; `docs/EVALUATION.md` explains it. */
export const evaluationDocument = z.object({
  format: z.literal("pseudolabel-evaluation/1"),
  dataset: z.string(),
  made_at: timestamp,
  made_by: z.string(),
  labels: z.object({
    run_id: z.string(),
    engine: z.string(),
    model: z.string(),
    /** Null where the run is unfinished. */
    finished_at: timestamp.nullable(),
    rows: count,
    /** Concave or crossing boxes, taken as their hulls, and ones without area, left out. */
    hulled: count,
    dropped: count,
  }),
  truth: z.object({
    url: z.string(),
    format: z.string(),
    pages: count,
    /**
     * Pages that were picked because they looked bad: figures are worse than those of all pages.
     */
    picked_as_doubtful: count,
    granularity: z.enum(["word", "segment"]),
    case: z.enum(["exact", "ignore"]),
    /** Don't-care boxes on compared pages. */
    ignored: count,
    /** As for labels. */
    hulled: count,
    dropped: count,
  }),
  pages: z.object({
    compared: count,
    /** In both, but their row failed: they are not in any figure. */
    failed: count,
    /** In both, but labels and truth are of pictures of other shapes: likewise. */
    other_shape: unpaired,
    /** In both, but it isn't known how the engine reads pictures that EXIF turns so: likewise. */
    frame_unknown: unpaired.optional(),
    truth_only: unpaired,
    labels_only: unpaired,
    ambiguous: unpaired,
  }),
  overall: scores,
  by: z.object({
    split: z.record(z.string(), scores),
    engine: z.record(z.string(), scores),
    /** Of the truth's text, pixels. */
    height: z.record(z.string(), textScores),
    /** That most letters of the truth's text are of. */
    script: z.record(z.string(), textScores),
    /** Judged words by the engine's confidence. */
    confidence: z.record(z.string(), z.object({ words: count, right: count, accuracy: share })),
  }),
  reliability,
  /** Absent in evaluations of earlier versions. */
  ranking: errorRanking.optional(),
  /** Null where it wasn't asked for. */
  threshold: threshold.nullable(),
  /** Pages with most errors. */
  worst: z.array(worstPage),
});
/** How good a data set's labels are, by a truth. */
export type EvaluationDocument = z.infer<typeof evaluationDocument>;

/** Which labels are good enough, as `evaluate --target-error` found out and `export` takes it. */
export const filterDocument = z.object({
  format: z.literal("pseudolabel-filter/1"),
  dataset: z.string(),
  made_at: timestamp,
  made_by: z.string(),
  /** The run whose labels were looked at. */
  run_id: z.string(),
  /**
   * Words of this confidence or more are to be kept; those below it, and those without any, are
   * not. Null where no threshold could be certified: then nothing may be exported by this file.
   */
  min_confidence: z.number().min(0).max(1).nullable(),
  /** How it was found. */
  threshold,
  truth: z.string(),
});
/** Which labels are good enough. */
export type FilterDocument = z.infer<typeof filterDocument>;

const side = z.object({
  dataset: z.string(),
  engine: z.string(),
  model: z.string(),
  rows: count,
  /** Pages in both, by how they ended on this side. */
  ok: count,
  empty: count,
  failed: count,
  /** Words on these pages, and the mean of their confidences. */
  words: count,
  confidence: share,
});

/** How the labels of two data sets differ on the pages that both have. */
export const comparisonDocument = z.object({
  format: z.literal("pseudolabel-comparison/1"),
  made_at: timestamp,
  made_by: z.string(),
  a: side,
  b: side,
  pages: z.object({
    both: count,
    a_only: unpaired,
    b_only: unpaired,
    /** Read on both sides: what follows is of these. */
    compared: count,
    /** Their pictures have other shapes, so that boxes can't be compared. */
    other_shape: count,
    /** EXIF turns their pictures, and there is no telling how an engine has read them: likewise. */
    frame_unknown: count.optional(),
    /** All words in the same places with the same texts. */
    identical: count,
  }),
  /** Words of compared pages. */
  words: z.object({
    a: count,
    b: count,
    /** In the same place: IoU above 0.5, one to one. */
    matched: count,
    /** And with the same text. */
    equal: count,
    /** 2 × equal / (a + b). */
    agreement: share,
    /** Mean likeness of matched words. */
    one_minus_ned: share,
  }),
  /** Where they differ most. */
  different: z.array(z.object({
    id: z.string(),
    a_row: count,
    b_row: count,
    a_words: count,
    b_words: count,
    equal: count,
    /** Words of the same place that were read differently, the first of them. */
    readings: z.array(z.object({ a: z.string(), b: z.string() })),
  })),
  /** Where a truth was given: both on the pages that all three have. */
  truth: z.object({
    url: z.string(),
    format: z.string(),
    granularity: z.enum(["word", "segment"]),
    case: z.enum(["exact", "ignore"]),
    /** Pages that all three have; one that failed counts as one without words. */
    pages: count,
    a: scores,
    b: scores,
    /** B's end-to-end hmean minus A's with its 95 % interval, by pages; null for fewer than ten. */
    difference: z.object({ hmean: finite, low: finite, high: finite }).nullable(),
    better: z.enum(["a", "b", "undecided"]),
  }).nullable(),
});
/** How the labels of two data sets differ. */
export type ComparisonDocument = z.infer<typeof comparisonDocument>;

/** A name that may stand in a command line that people copy. */
const plainName = z.string().regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/);
const engineModel = z.object({ engine: plainName, model: plainName });

/** What the footer of an agreement says: which engines agree, and on which output. */
export const agreementFooter = z.object({
  format: z.literal("pseudolabel-agreement-rows/1"),
  dataset: z.string(),
  /** The very version of the output whose rows stand in the same order. */
  output: z.object({ key: z.string(), etag: z.string(), bytes: count, rows: count }),
  a: engineModel,
  b: engineModel,
});
/** Which engines agree, and on which output. */
export type AgreementFooter = z.infer<typeof agreementFooter>;
/** Where a footer has it. */
export const AGREEMENT_FOOTER_KEY = "pseudolabel.agreement";

const agreeingSide = engineModel.extend({
  /** Rows of compared pages that it has read, and whose labels are its own. */
  rows: count,
  /** Pages without a stored answer of it. */
  missing: count,
  /** Words on compared pages; those with the same text on the other side; those it has alone. */
  words: count,
  equal: count,
  alone: count,
});

/** How far two engines agree on the pages of a data set; `docs/EVALUATION.md` explains it. */
export const agreementDocument = z.object({
  format: z.literal("pseudolabel-agreement/1"),
  dataset: z.string(),
  made_at: timestamp,
  made_by: z.string(),
  output: z.object({ url: z.string(), etag: z.string(), bytes: count, rows: count }),
  /** What stands beside each row and word. */
  rows: z.object({ url: z.string(), etag: z.string(), bytes: count }),
  a: agreeingSide,
  b: agreeingSide,
  pages: z.object({
    compared: count,
    /** Of them those on which all words agree. */
    identical: count,
    /** Mean agreement of compared pages. */
    agreement: share,
    /** Pages that could not be compared, by reason. */
    not_compared: z.record(z.string(), count),
  }),
  /** Words of the rows. */
  words: z.object({
    compared: count,
    agreement: share,
    /** How many agree so far or further. */
    levels: z.array(z.object({ agreement: finite, words: count })),
  }),
  /** Characters that one reads where the other reads another, the most frequent first. */
  confusions: z.array(z.object({ a: z.string(), b: z.string(), count })),
  /** Pages on which they agree least. */
  least: z.array(z.object({
    row: count,
    id: z.string(),
    agreement: finite,
    a_words: count,
    b_words: count,
    /** Words that they read differently, the first of them; null for nothing. */
    readings: z.array(z.object({ a: z.string().nullable(), b: z.string().nullable() })),
  })),
});
/** How far two engines agree on the pages of a data set. */
export type AgreementDocument = z.infer<typeof agreementDocument>;

const counts = z.record(z.string(), count);
const part = z.object({ pages: count, entries: count });

/** `export.json`: that an export is complete, and what became of every page and word. */
export const exportDocument = z.object({
  format: z.literal("pseudolabel-export/1"),
  /** Of everything that decides on a byte of the export. */
  fingerprint: z.string(),
  made_by: z.string(),
  dataset: z.string(),
  /** The output that was exported. */
  labels: z.object({ url: z.string(), etag: z.string(), bytes: count, rows: count }),
  /** Name of the format. */
  exported_as: z.string(),
  /** As they were given, by name. */
  options: z.record(z.string(), z.string()),
  /** `in` = `out` + all of `dropped`. */
  pages: z.object({ in: count, out: count, dropped: counts }),
  /** `in` = `out` + all of `ignored` + all of `dropped`. */
  words: z.object({ in: count, out: count, ignored: counts, dropped: counts }),
  /** Words or lines that were written, ignored ones as well. */
  entries: count,
  /** Words that are written otherwise than they were read, by what was done. */
  changed: counts,
  /** Pictures by what was done with them. */
  images: counts,
  splits: z.object({ train: part, val: part, test: part }),
  /** What the user should know: sentences. */
  notes: z.array(z.string()),
});
/** What an export holds. */
export type ExportDocument = z.infer<typeof exportDocument>;

/** `export-begun.json`: that an export is under way, or was interrupted. */
export const exportBegun = z.object({
  format: z.literal("pseudolabel-export-begun/1"),
  fingerprint: z.string(),
});
