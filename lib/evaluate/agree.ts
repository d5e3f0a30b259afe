/**
 * @module evaluate/agree: how far two engines agree on the rows of an output: each row's own words
 * are held against what the other engine has read on the same image, by its stored answer. Several
 * answers are read at once; nothing grows with the rows.
 */

import { mapOrdered } from "../base/ordered.ts";
import type { AgreementRow } from "../dataset/agreement_rows.ts";
import type { ImageSource } from "../dataset/image_location.ts";
import type { ScannedRow } from "../dataset/output_scan.ts";
import { differsInShape, type Size } from "../image/frame.ts";
import type { EngineAnswers, PageRead } from "../state/engine_answers.ts";
import type { ProbedFrame } from "../state/known_frame.ts";
import { agreeOnWords } from "./agree_words.ts";
import type { AgreementSum, LookedAt } from "./agreement_sum.ts";
import { convexPoints, scaled } from "./boxes.ts";
import { seenAlike, showsAlike } from "./frames.ts";

/** Answers that are read at once. */
const AHEAD = 24;
/** Words that agree so far lie in one frame: turned by half, they would be nowhere near. */
const PROVEN = 0.5;

/** What {@linkcode agreeOnRows} works with. */
export interface AgreeJob {
  /** Of the output, in order. */
  readonly rows: AsyncIterable<ScannedRow>;
  /** The two engines; the rows are of either. */
  readonly a: EngineAnswers;
  /** The other one. */
  readonly b: EngineAnswers;
  /** Where pictures lie. */
  readonly images: ImageSource;
  /** Adds up what is found. */
  readonly sum: AgreementSum;
  /** Its reason is thrown once it aborts. */
  readonly signal: AbortSignal;
  /** Told of each row that is through. */
  readonly onProgress: (rows: number) => void;
}

/**
 * Compares, row by row.
 *
 * @throws {StoreError} if a store fails
 */
export async function* agreeOnRows(job: AgreeJob): AsyncGenerator<AgreementRow> {
  const [frameA, frameB] = [await job.a.frame(job.signal), await job.b.frame(job.signal)];
  const frames = { a: frameA, b: frameB };
  let rows = 0;
  for await (const looked of mapOrdered(job.rows, AHEAD, (row) => look(row, job, frames))) {
    job.signal.throwIfAborted();
    job.sum.add(looked);
    const { row: { id, metadata }, state, found } = looked;
    yield {
      ...{ id, sha256: metadata.image_sha256, state },
      agreement: found?.agreement ?? null,
      onlyOther: found ? found.b.filter(({ other }) => other === null).length : null,
      words: found?.a.map(({ agreement }) => agreement) ?? [],
      others: found?.a.map(({ other }) => other) ?? [],
    };
    job.onProgress(++rows);
  }
}

type Frames = Readonly<Record<"a" | "b", ProbedFrame | undefined>>;

async function look(row: ScannedRow, job: AgreeJob, frames: Frames): Promise<LookedAt> {
  const { image_sha256: sha256, response_key, api_width, api_height } = row.metadata;
  if (row.status === "failed") return { row, state: "failed" };
  const own = sha256 === null
    ? undefined
    : (["a", "b"] as const).find((side) => job[side].key(sha256) === response_key);
  if (own === undefined || !api_width || !api_height) return { row, state: "other_engine" };
  const seen = { width: api_width, height: api_height };
  const side = own === "a" ? "b" : "a";
  const read = await job[side].read(sha256!, job.signal);
  if (!read.page) return { row, own, state: read.lost };
  if (differsInShape(seen, read.page)) return { row, own, state: "other_shape" };
  const words = wordsOf(row, seen, read.page);
  const found = agreeOnWords(words.own, words.other);
  if (!found) return { row, own, state: "too_dense" };
  const proven = found.agreement >= PROVEN || words.own.length === 0 || words.other.length === 0 ||
    areAlike(frames, own, row, read);
  const marked = row.metadata.frame === "unknown" || read.page.frame === "unknown";
  const alike = proven || !marked &&
      (read.picture
        ? showsAlike(seen, read.picture)
        : await seenAlike(row.imagePath, seen, job.images, job.signal));
  if (!alike) return { row, own, state: "frame_unknown" };
  return { row, own, state: "compared", found, words };
}

/** Whether probes have shown that both engines turn pictures, or that neither does. */
function areAlike(
  frames: Frames,
  own: "a" | "b",
  { metadata }: ScannedRow,
  { modelVersion }: PageRead,
): boolean {
  const [mine, other] = own === "a" ? [frames.a, frames.b] : [frames.b, frames.a];
  return mine !== undefined && other !== undefined && mine.frame !== "unknown" &&
    mine.frame === other.frame && mine.modelVersion === metadata.model_version &&
    other.modelVersion === modelVersion;
}

function wordsOf(
  row: ScannedRow,
  seen: Size,
  page: PageRead["page"],
): NonNullable<LookedAt["words"]> {
  const repairs = { hulled: 0, dropped: 0 };
  const [x, y] = [seen.width / page.width, seen.height / page.height];
  return {
    own: row.texts.map((text, i) => ({
      text: text ?? "",
      points: convexPoints(row.polygons[i] ?? [], repairs),
    })),
    other: page.words.map(({ text, polygon }) => ({
      text,
      points: convexPoints(scaled(polygon, x, y), repairs),
    })),
  };
}
