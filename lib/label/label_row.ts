/**
 * @module label/label_row: all that can happen to a row: its image is read, its answer found among
 * the stored ones or asked for once and stored, and the row is made of both. An answer is stored
 * before anybody sees it, so an image is paid for at most once.
 */

import type { Budget } from "../base/budget.ts";
import type { Clock } from "../base/clock.ts";
import { endedByStore, RunError, StoreError } from "../base/errors.ts";
import type { Parsed } from "../base/json.ts";
import { pack } from "../base/packed.ts";
import type { Failure } from "../dataset/failure.ts";
import type { InputRow } from "../dataset/row.ts";
import { answerJson } from "../engine/answer.ts";
import type { Answer, ImageFile } from "../engine/engine.ts";
import { LOOK_MS } from "../engine/health.ts";
import type { AnswerStore, SetAside } from "../state/answer_store.ts";
import type { Claims } from "../state/claims.ts";
import type { PaidBy } from "../state/documents.ts";
import type { SpendingLimit } from "../state/spending.ts";
import { type Answered, ask, type Asked, type AskOptions, NOT_ASKED } from "./ask.ts";
import type { Collecting } from "./collect.ts";
import type { ImageGuard } from "./image_guard.ts";
import { type ImageLoader, refusalBy } from "./images.ts";
import { isBlank } from "./known_page.ts";
import { hasWords, type LabeledRow, type Obtained, outputRow, readAnswer } from "./output_row.ts";
import { otherPayments, type ReadableAnswers } from "./other_answers.ts";
import type { ReadableGuard } from "./readable_guard.ts";
import type { Remarks } from "./remarks.ts";

/** So often an answer that can't be used may change while it is looked at. */
const LOOKS = 5;

/** What rows are labelled with. */
export interface Labeling extends AskOptions {
  /** Reads images. */
  readonly images: Pick<ImageLoader, "load">;
  /** Ends a run none of whose images can be used. @default every row is made */
  readonly imageGuard?: Pick<ImageGuard, "watch">;
  /** Keeps answers. */
  readonly answers: AnswerStore;
  /** Ends a run whose answers can't be read. @default every row is made */
  readonly readableGuard?: Pick<ReadableGuard, "judge">;
  /** Whether another page may be paid, and a note of what answers have billed. */
  readonly spending: Pick<SpendingLimit, "take" | "settle" | "isShort" | "cover">;
  /** Data set and run that answers are paid for. */
  readonly payer: Omit<PaidBy, "row_id">;
  /** What becomes of images whose answers are being looked for, by SHA-256. */
  readonly underWay: Map<string, Promise<Obtained>>;
  /** Room for rows in progress. */
  readonly rows: Budget;
  /** How long a page that no engine is to be had for waits, milliseconds. @default not at all */
  readonly maxOutageMs?: number;
  /** Collects what takes its time. @default pages are answered at once */
  readonly collecting?: Collecting;
  /** Room for pages that do. */
  readonly waiting: Budget;
  /** Keeps off images that another run is asking for. */
  readonly claims: Pick<Claims, "take">;
  /**
   * Rows that failed with these are asked for again although an answer is stored: so says the user.
   */
  readonly askAgain: ReadonlySet<string>;
  /** Images, by SHA-256, that this process got an unreadable answer for: once is enough. */
  readonly askedInVain: Set<string>;
  /** What people should know. */
  readonly remarks: Pick<Remarks, "tell" | "count">;
  /**
   * Engines that are asked, one after another, for pages that this one fails on or finds no words
   * on. Images, limits and counters are the same for all. @default none
   */
  readonly fallbacks?: readonly Labeling[];
  /**
   * Stored answers of all engines that the run may have asked, its own first, be they asked now or
   * not. @default its own is the only one
   */
  readonly asked?: readonly ReadableAnswers[];
  /** Whether earlier processes of the run may have asked them. @default false */
  readonly resumed?: boolean;
  /** Whether a page fails that is neither answered nor paid for. @default it is asked for */
  readonly onlyStored?: boolean;
}

/**
 * Labels one row. Its row depends on the input row and the stored answer alone, so it comes out the
 * same whenever and however often it is made.
 *
 * @throws {RunError} what ends the run; a page that can't be read is a row
 * @throws {StoreError} when an answer cannot be found or stored for sure
 */
export async function labelRow(row: InputRow, labeling: Labeling): Promise<LabeledRow> {
  const { images, imageGuard, clock, halt, asked } = labeling;
  const loading = images.load(row.image_path, halt.signal);
  const loaded = await (imageGuard?.watch(loading, halt.signal) ?? loading);
  try {
    if (!loaded.image || !asked) {
      const obtained = loaded.image && await obtain(loaded.image, row.id, labeling);
      const output = outputRow(row, labeling.engine.name, loaded, obtained, clock.now());
      return { output, paidBy: obtained?.paidBy ?? null, imageVersion: loaded.version };
    }
    const { by, obtained, alone } = await obtainFromAny(loaded.image, row.id, labeling);
    const output = outputRow(row, by.engine.name, loaded, obtained, clock.now());
    // Nobody in a run that has just begun has asked another engine for it.
    const none = alone && by === labeling && output.metadata.status === "ok" && !labeling.resumed;
    const others = none ? [] : await otherPayments(output, asked, labeling.payer, halt.signal);
    return { output, paidBy: obtained.paidBy, others, imageVersion: loaded.version };
  } finally {
    loaded.release();
  }
}

/** What an image came to, of whichever engine. */
interface ObtainedBy {
  /** Whose it is. */
  readonly by: Pick<Labeling, "engine">;
  readonly obtained: Obtained;
  /** Whether no other engine was turned to, were it that its own was down. @default false */
  readonly alone?: boolean;
}

/**
 * The answer of the first engine that finds words; else the first that is one. Where there is none,
 * an engine that is down is waited for; else why there is none.
 */
async function obtainFromAny(
  image: ImageFile,
  rowId: string,
  labeling: Labeling,
): Promise<ObtainedBy> {
  const { fallbacks = [], resumed = false } = labeling;
  const known = resumed && await paidBefore(image, rowId, labeling);
  if (known) return known;
  const desks = [labeling, ...fallbacks];
  const patience = labeling.maxOutageMs ?? 0;
  const patientUntil = labeling.clock.now() + patience;
  const came = new Map<Labeling, Obtained>();
  const isAway = (by: Labeling) => came.get(by)?.elsewhere === true;
  const canBeHad = ({ lanes }: Labeling) => lanes.unavailable(true) === undefined;
  for (;;) {
    for (const [n, by] of desks.entries()) {
      if (came.has(by) && !isAway(by)) continue;
      const refusal = refusalBy(by.engine, image);
      const away = desks.slice(0, n).filter(isAway);
      const back = () => labeling.clock.now() < patientUntil && away.some(canBeHad);
      const obtained = refusal
        ? failed(refusal, 0, by.clock)
        : await obtain(image, rowId, by, away.length > 0 ? { back, patientUntil } : undefined);
      came.set(by, obtained);
      if (hasWords(obtained)) return { by, obtained, alone: came.size === 1 };
    }
    const away = desks.filter(isAway);
    const { clock, halt } = labeling;
    // Where nobody has looked at it, all are down: for how long is the run's matter, not the page's.
    const isDue = () => away.length === desks.length || away.some(({ lanes }) => lanes.isProbed);
    while (!away.some(canBeHad) && isDue()) await clock.sleep(LOOK_MS, halt.signal);
    // What the others took their time over may have outlasted the outage.
    if (!away.some(canBeHad)) break;
  }
  const all = () => desks.map((by): ObtainedBy => ({ by, obtained: came.get(by)! }));
  const found = all().find(({ obtained }) => obtained.answer);
  if (found) {
    tellAbsent(desks.filter(isAway), "pages without words", "--fresh", labeling);
    return found;
  }
  // What only an outage keeps from being read has not failed, however long the others took over it.
  const waitUntil = labeling.clock.now() + patience;
  for (const by of desks) {
    const { lanes, clock } = by;
    const isPatient = () => clock.now() < waitUntil && !lanes.exhausted;
    const isWaitedFor = () =>
      lanes.open.length > 0 &&
      (isAway(by)
        ? !lanes.spared || canBeHad(by) || isPatient()
        : came.get(by)?.unsure && isPatient());
    // The same image may be under way for a row that doesn't wait.
    while (isWaitedFor()) {
      const obtained = await obtain(image, rowId, by, { waitUntil });
      came.set(by, obtained);
      if (obtained.answer) return { by, obtained };
    }
  }
  tellAbsent(desks.filter(isAway), "failed pages", "--retry-failed", labeling);
  return noneOf(all());
}

/** Says of engines that could not be had that they may be asked again. */
function tellAbsent(
  away: readonly Labeling[],
  pages: string,
  option: string,
  { remarks }: Labeling,
): void {
  for (const { engine } of away) {
    remarks.count(
      `${pages} that ${engine.name} was not to be had for (${option} asks it for them)`,
    );
  }
}

/**
 * What an earlier process of this run has paid another engine for on behalf of this row: whatever
 * the first one would answer now, that is the row's answer.
 */
async function paidBefore(
  image: ImageFile,
  rowId: string,
  { asked = [], payer: { dataset, run_id }, tally, halt }: Labeling,
): Promise<ObtainedBy | undefined> {
  for (const by of asked.slice(1)) {
    const stored = (await by.answers.find(image.sha256, halt.signal))?.value;
    if (!stored || stored.paid_by.run_id !== run_id) continue;
    if (stored.paid_by.dataset !== dataset || stored.paid_by.row_id !== rowId) continue;
    const obtained = readAnswer(by.engine, stored, by.answers.key(image.sha256));
    if (!hasWords(obtained)) continue;
    tally.reused++;
    return { by, obtained };
  }
}

/**
 * The first engine's failure, with what became of the others. Of an answer that can't be read the
 * row says what the answer says, and nothing else.
 */
function noneOf(all: readonly ObtainedBy[]): ObtainedBy {
  const [{ by, obtained }, ...others] = all;
  if (obtained.answerKey !== null) return { by, obtained };
  const { code, message } = obtained.failure!;
  const also = others.map(({ by, obtained }) => `${by.engine.name}: ${obtained.failure?.message}`);
  return {
    by,
    obtained: { ...obtained, failure: { code, message: [message, ...also].join("; ") } },
  };
}

/**
 * The answer for an image, or why there is none. Equal images in flight share one.
 *
 * @param rowId `id` of the row that pays, should the answer have to be paid for.
 * @param away As in {@linkcode AskOptions}, where an engine was not to be had.
 */
export async function obtain(
  image: ImageFile,
  rowId: string,
  labeling: Labeling,
  away: Pick<AskOptions, "back" | "patientUntil" | "waitUntil"> = {},
): Promise<Obtained> {
  const { underWay, tally } = labeling;
  const same = underWay.get(image.sha256);
  if (same) {
    const obtained = await same;
    if (obtained.answer) tally.reused++;
    return obtained;
  }
  const obtaining = findOrAsk(image, rowId, labeling, away);
  underWay.set(image.sha256, obtaining);
  try {
    return await obtaining;
  } finally {
    underWay.delete(image.sha256);
  }
}

async function findOrAsk(
  image: ImageFile,
  rowId: string,
  labeling: Labeling,
  away: Pick<AskOptions, "back" | "patientUntil" | "waitUntil">,
): Promise<Obtained> {
  const { claims, clock } = labeling;
  let looked = await lookUp(image, labeling);
  if (looked.obtained) return looked.obtained;
  if (labeling.onlyStored && !labeling.collecting) {
    return failed(NOT_ASKED, 0, clock);
  }
  using claim = await claims.take(image.sha256, async () => {
    looked = await lookUp(image, labeling);
    return looked.obtained !== undefined;
  });
  if (looked.obtained) return looked.obtained;
  const { collecting } = labeling;
  const asking = { ...labeling, ...away, claim };
  using asked = collecting
    ? await collecting.ask(image, rowId, asking, looked.useless?.at.getTime())
    : await ask(image, asking);
  const { answered, failure, elsewhere, unsure, attempts } = asked;
  if (looked.obtained) return looked.obtained;
  // Asked for again in vain, it is what its stored answer says: that was paid for.
  if (!answered) {
    return { ...looked.useless ?? failed(failure!, attempts, clock), elsewhere, unsure };
  }
  const kept = await keep({ ...asked, answered }, image, rowId, labeling, looked.instead);
  await collecting?.done(image);
  return kept;
}

function failed(failure: Failure, attempts: number, clock: Clock, answerKey?: string): Obtained {
  const at = new Date(clock.now());
  return { failure, attempts, at, answerKey: answerKey ?? null, billedPages: null, paidBy: null };
}

/** What is stored for an image: what to make of it; else, it is to be asked for, maybe instead. */
interface LookedUp {
  readonly obtained?: Obtained;
  /** The answer that can't be used, of which there is a copy. */
  readonly instead?: SetAside;
  /** What to make of it, if it is whole. */
  readonly useless?: Obtained;
}

async function lookUp(image: ImageFile, labeling: Labeling): Promise<LookedUp> {
  const { engine, answers, lanes, known, tally, clock, halt } = labeling;
  const { askAgain, askedInVain } = labeling;
  const { sha256 } = image;
  const key = answers.key(sha256);
  const leftAlone = (problem: string): LookedUp => {
    const message = `stored answer ${key} can't be used (${problem}) and was left alone`;
    return { obtained: failed({ code: "response_unreadable", message }, 0, clock, key) };
  };
  for (let looks = 0; looks < LOOKS; looks++) {
    const found = await answers.find(sha256, halt.signal);
    if (!found) return {};
    let reason: string;
    let useless: Obtained | undefined;
    if (found.problem === undefined) {
      const read = engine.parse(found.value.body, found.value.picture);
      const obtained = readAnswer(engine, found.value, key, read);
      const { answer, failure } = obtained;
      if (answer) {
        tally.reused++;
        // The model has answered: what is rejected or refused now is so for another reason.
        lanes.knows();
        if (obtained.billedPages === 1) known?.remember(image, isBlank(answer));
      }
      const again = failure && askAgain.has(failure.code) && !askedInVain.has(sha256);
      if (!again) {
        await judgeReadable(read, key, false, labeling);
        return { obtained };
      }
      reason = `${failure.code}: ${failure.message}`;
      useless = obtained;
    } else {
      const again = !found.keep || askAgain.has("response_unreadable");
      if (!again || found.etag === undefined) return leftAlone(found.problem);
      reason = found.problem;
    }
    // A version that is gone by now has given way to another: look at that.
    const instead = await answers.setAside(sha256, reason, found.etag!);
    if (instead) return { instead, useless };
  }
  return leftAlone("it is another one at every look");
}

/** Stores a paid answer, then reads it; or what was stored for the same image before it. */
async function keep(
  { answered, attempts, paidBy, before }: Asked & { readonly answered: Answered },
  image: ImageFile,
  rowId: string,
  labeling: Labeling,
  instead: SetAside | undefined,
): Promise<Obtained> {
  const { engine, answers, clock, payer, halt, tally, remarks, askedInVain } = labeling;
  const { spending } = labeling;
  const { sha256 } = image;
  // Whoever follows a run that was killed knows of a page in no row by this alone.
  if (spending.isShort) await spending.cover();
  const envelope = {
    image_sha256: sha256,
    image_bytes: image.bytes.byteLength,
    media_type: image.mediaType.type,
    ...image.picture && { picture: image.picture },
    attempts,
    received_at: new Date(clock.now()).toISOString(),
    paid_by: paidBy ?? { ...payer, row_id: rowId },
  };
  const key = answers.key(sha256);
  if (answered.read.problem !== undefined) askedInVain.add(sha256);
  for (const kind of answered.read.value?.drift ?? []) {
    remarks.count(`answers that were understood: ${kind}`);
  }
  const billed = engine.billedPages(answered.body);
  const json = answerJson(answered);
  const saving = answers.save(envelope, json, instead);
  const read = letGo(answered, image, engine);
  try {
    const other = await saving;
    tally.unsaved--;
    if ((other || instead) && !before) tally.paidAgain += billed;
    const was = `stored answer ${key} can't be used (${instead?.reason})`;
    if (instead && before) {
      remarks.tell(
        "stored answers that were collected again",
        `${was}: a copy is in ${instead.copy}, the page was collected again, which costs nothing`,
      );
    } else if (instead) {
      remarks.tell(
        "stored answers that were paid for again",
        `${was}: a copy is in ${instead.copy}, the page was asked for and paid again`,
      );
    }
    if (other && !before) {
      remarks.tell(
        "answers that another run had stored first",
        `another run was answered for the same image and stored ${key} first: that answer is ` +
          "used, and the page was paid twice",
      );
    }
    if (other) return readAnswer(engine, other, key);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    // Going on would pay for more answers that can't be kept.
    const ending = endedByStore(error, `cannot store the paid answer ${key}`);
    halt.abort(ending);
    throw ending;
  } finally {
    // Not when the collector comes: hundreds of answers would lie about until then.
    if (typeof json !== "string") json.buffer.transfer(0);
  }
  const parsed = read();
  await judgeReadable(parsed, key, true, labeling);
  return readAnswer(engine, { ...envelope, body: undefined }, key, parsed, billed);
}

/** Ends the run where answers can't be read; with another engine to go on with, only this one. */
async function judgeReadable(
  read: Answered["read"],
  key: string,
  paid: boolean,
  { readableGuard, lanes }: Labeling,
): Promise<void> {
  try {
    await readableGuard?.judge(read, key, paid);
  } catch (error) {
    if (!(error instanceof RunError) || !lanes.closeAll(error)) throw error;
  }
}

/** Bytes of an answer that is not held as objects while it is stored: about 1,000 words. */
const LONG_ANSWER = 1 << 18;

/**
 * Lets go of an answer while it is stored, but for what was read of it: as objects it takes ten
 * times its length. Of a long one nothing is kept but its text, packed: with the store down all
 * requests in flight may have one that waits.
 *
 * @returns Gives what was read.
 */
function letGo(
  answered: Answered,
  image: ImageFile,
  engine: Labeling["engine"],
): () => Parsed<Answer> {
  const { read } = answered;
  const json = answerJson(answered);
  Object.assign(answered, { text: "", utf8: undefined, body: undefined, read: undefined });
  return json.length < LONG_ANSWER ? held(read) : packed(json, image.picture, engine);
}

// Apart from each other, as closures of one function keep the variables of each other.
function held(read: Parsed<Answer>): () => Parsed<Answer> {
  return () => read;
}

function packed(
  json: string | Uint8Array,
  picture: ImageFile["picture"],
  engine: Labeling["engine"],
): () => Parsed<Answer> {
  const bytes = pack(json);
  return () => {
    const json = bytes.unpack();
    const body = typeof json === "string"
      ? JSON.parse(json)
      : engine.scan?.(json) ?? JSON.parse(new TextDecoder().decode(json));
    return engine.parse(body, picture);
  };
}
