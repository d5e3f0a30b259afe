/**
 * @module view/evaluation: keeps an evaluation in the store, for programs and for people, and finds
 * it again.
 */

import { readDocument, writeDocument } from "../state/document.ts";
import {
  type EvaluationDocument,
  evaluationDocument,
  type FilterDocument,
} from "../state/documents.ts";
import { evaluationKey, filterKey, reportKey } from "../state/keys.ts";
import type { Store } from "../store/store.ts";
import { evaluationPage } from "./evaluation_page.ts";

/**
 * Writes an evaluation, and what labels are good enough where that was looked for.
 *
 * @returns URLs of what was written for people and for `export`.
 * @throws {StoreError} when the store fails
 */
export async function writeEvaluation(
  store: Store,
  document: EvaluationDocument,
  filter: FilterDocument | undefined,
): Promise<string[]> {
  const { dataset } = document;
  const page = reportKey(dataset, "evaluation.html");
  const bytes = new TextEncoder().encode(evaluationPage(document));
  await writeDocument(store, evaluationKey(dataset), document);
  await store.write(page, bytes, { contentType: "text/html; charset=utf-8" });
  const keys = [page];
  if (filter) {
    await writeDocument(store, filterKey(dataset), filter);
    keys.push(filterKey(dataset));
  }
  return keys.map((key) => `${store.url}/${key}`);
}

/**
 * The latest evaluation of a run's labels; `undefined` if there is none, or it can't be read: a
 * report is none the worse for it.
 */
export async function findEvaluation(
  store: Store,
  dataset: string,
  runId: string,
): Promise<EvaluationDocument | undefined> {
  const found = await readDocument(store, evaluationKey(dataset), evaluationDocument)
    .catch(() => undefined);
  return found?.value?.labels.run_id === runId ? found.value : undefined;
}
