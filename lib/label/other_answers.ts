/**
 * @module label/other_answers: what engines besides the one that a row is of were paid on its
 * behalf, found among the stored answers: so books are the same whenever they are made, and whoever
 * makes them.
 */

import type { OutputRow } from "../dataset/row.ts";
import type { Engine } from "../engine/engine.ts";
import { findEngine } from "../engine/engines.ts";
import { AnswerStore } from "../state/answer_store.ts";
import type { Manifest, PaidBy, StoredAnswer } from "../state/documents.ts";
import { nameOf, type Payment } from "../state/ledger.ts";
import type { Store } from "../store/store.ts";

/** The stored answers of an engine and model. */
export interface AnswersBy {
  /** What reads them. */
  readonly engine: Pick<Engine, "name" | "billedPages">;
  /** Model that was asked for. */
  readonly model: string;
  /** The answers. */
  readonly answers: Pick<AnswerStore, "key" | "find" | "findPaid" | "findReceived">;
}

/** The same, by an engine that can read them. */
export interface ReadableAnswers extends AnswersBy {
  /** What reads them. */
  readonly engine: Engine;
}

/**
 * Opens the answers of all engines that a run has asked, its own first. One that this version
 * doesn't have is left out.
 */
export async function openAnswers(
  store: Store,
  { engine, model, fallbacks = [] }: Pick<Manifest, "engine" | "model" | "fallbacks">,
): Promise<ReadableAnswers[]> {
  const opened: ReadableAnswers[] = [];
  const isOwn = (other: typeof fallbacks[number]) =>
    other.engine === engine && other.model === model;
  for (const asked of [{ engine, model }, ...fallbacks.filter((other) => !isOwn(other))]) {
    const engine = await findEngine(asked.engine)?.load();
    if (!engine) continue;
    const { model } = asked;
    opened.push({ engine, model, answers: new AnswerStore(store, engine.name, model) });
  }
  return opened;
}

/**
 * What these engines were paid for a row besides its own, as its batch has written down: whatever
 * was stored for it since is not in there, be it in the place of what it has paid for.
 *
 * @param dataset Of the row.
 * @param engines `engine/model` of each.
 */
export async function countedPayments(
  { id, metadata: { image_sha256: sha256 } }: OutputRow,
  dataset: string,
  engines: readonly string[],
  all: readonly AnswersBy[],
  signal: AbortSignal,
): Promise<Payment[]> {
  if (sha256 === null || engines.length === 0) return [];
  const asked = all.filter((by) => engines.includes(nameOf(namesOf(by))));
  const found = await Promise.all(asked.map(async (by) => {
    const paid = await by.answers.findPaid(sha256, { dataset, row_id: id }, signal);
    return paid && paymentFor(by, paid);
  }));
  return found.filter((payment) => payment !== undefined);
}

function namesOf({ engine, model }: AnswersBy) {
  return { engine: engine.name, model };
}

async function paymentBy(
  by: AnswersBy,
  sha256: string,
  signal: AbortSignal,
): Promise<Payment | undefined> {
  const stored = (await by.answers.find(sha256, signal))?.value;
  return stored && paymentFor(by, stored);
}

function paymentFor(by: AnswersBy, { paid_by: paidBy, attempts, body }: StoredAnswer): Payment {
  return { ...namesOf(by), paidBy, billedPages: by.engine.billedPages(body), attempts };
}

/**
 * For whom the answer was paid that a row was made of, be it that another has taken its place.
 *
 * @param all Answers of all engines that the run may have asked.
 */
export async function payerOfRow(
  { metadata: { image_sha256: sha256, response_key: key, processed_at: at } }: OutputRow,
  all: readonly Pick<AnswersBy, "answers">[],
  signal: AbortSignal,
): Promise<PaidBy | null> {
  if (sha256 === null) return null;
  const by = all.find(({ answers }) => answers.key(sha256) === key);
  return (await by?.answers.findReceived(sha256, at, signal))?.paid_by ?? null;
}

/**
 * Answers that were paid for a row besides its own. Those of a page that the run's own engine has
 * found words on count only if this run has paid for them: it asked another engine and was killed
 * before it could say so.
 *
 * @param all Answers of all engines that the run may have asked, its own first.
 * @param manifest The run.
 */
export async function otherPayments(
  { id, metadata }: OutputRow,
  all: readonly AnswersBy[],
  { dataset, run_id }: Pick<Manifest, "dataset" | "run_id">,
  signal: AbortSignal,
): Promise<Payment[]> {
  const { image_sha256: sha256, response_key: key, status } = metadata;
  if (sha256 === null || all.length < 2) return [];
  const own = all.findIndex(({ answers }) => answers.key(sha256) === key);
  const payments: Payment[] = [];
  for (const [n, by] of all.entries()) {
    const payment = n === own ? undefined : await paymentBy(by, sha256, signal);
    if (payment?.paidBy.dataset !== dataset || payment.paidBy.row_id !== id) continue;
    if (own === 0 && status === "ok" && payment.paidBy.run_id !== run_id) continue;
    payments.push(payment);
  }
  return payments;
}
