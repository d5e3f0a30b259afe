/**
 * @module export/marker: the marks of a place that exports go to: one while it is being filled, one
 * when everything is there. They say of what, so that an export is continued and never mixed.
 */

import { createHash } from "node:crypto";
import { RunError, StoreError } from "../base/errors.ts";
import { SeenTexts } from "../base/seen.ts";
import { shown } from "../base/text.ts";
import { VERSION } from "../base/version.ts";
import { readDocument, writeDocument } from "../state/document.ts";
import { exportBegun, type ExportDocument, exportDocument } from "../state/documents.ts";
import type { Store } from "../store/store.ts";
import { type Books, sorted } from "./books.ts";

/** The mark that everything is there. */
const DONE = "export.json";
/** The mark that an export is under way. */
const BEGUN = "export-begun.json";

/** A place that an export goes to. */
export interface ExportPlace {
  /** Where it is. */
  readonly store: Store;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
}

/** What is exported, and how: whatever decides on a byte of it. */
export interface ExportIdentity {
  /** The data set's name. */
  readonly dataset: string;
  /** The output that is exported. */
  readonly labels: ExportDocument["labels"];
  /** The format's name. */
  readonly format: string;
  /** Options as they were given, by name. */
  readonly options: Readonly<Record<string, string>>;
  /** What reviewers had marked, if that matters. */
  readonly marks: string | null;
}

/** What lies at a place before an export. */
export type Found =
  /** This very export, complete. */
  | { readonly done: ExportDocument }
  /** Nothing, or this export unfinished. */
  | { readonly present: (name: string) => boolean };

/** A mark of an export: equal ones have equal bytes. */
export function fingerprint(identity: ExportIdentity): string {
  const { dataset, labels, format, options, marks } = identity;
  const entries = Object.entries(options).sort(([a], [b]) => a < b ? -1 : 1);
  const text = JSON.stringify([VERSION, dataset, labels.etag, labels.rows, format, entries, marks]);
  return createHash("sha256").update(text).digest("hex");
}

/**
 * Makes a place ready: marks it as being filled, unless the export lies there already.
 *
 * @throws {RunError} `conflict` if anything else lies there
 * @throws {StoreError} if the store fails
 */
export async function beginExport(
  { store, prefix }: ExportPlace,
  identity: ExportIdentity,
  signal: AbortSignal,
): Promise<Found> {
  const own = fingerprint(identity);
  const done = await readDocument(store, prefix + DONE, exportDocument);
  if (done?.value?.fingerprint === own) return { done: done.value };
  const where = `${store.url}/${prefix}`;
  const advice = "choose another place with --out, or remove it first";
  if (done) {
    throw new RunError("conflict", `${where}${DONE} says that another export is there; ${advice}`);
  }
  const begun = await readDocument(store, prefix + BEGUN, exportBegun);
  if (begun && begun.value?.fingerprint !== own) {
    throw new RunError(
      "conflict",
      `${where} holds another export that was not finished (${BEGUN}); ${advice}`,
    );
  }
  const seen = new SeenTexts();
  for await (const { key } of store.list(prefix, { signal, etag: false })) {
    if (!begun) {
      throw new RunError(
        "conflict",
        `${where} is not empty: it holds ${shown(key.slice(prefix.length))}; ${advice}`,
      );
    }
    seen.add(key.slice(prefix.length));
  }
  if (!begun) {
    const document = { format: "pseudolabel-export-begun/1", fingerprint: own };
    await writeDocument(store, prefix + BEGUN, document);
  }
  // Each name is asked for once.
  return { present: (name) => begun !== undefined && !seen.add(name) };
}

/** What the books say, with names in order, so that equal exports have equal bytes. */
export function exportReport(
  identity: ExportIdentity,
  { books, notes }: { readonly books: Books; readonly notes: readonly string[] },
): ExportDocument {
  const { pages, words, entries, changed, images, splits } = books;
  return {
    format: "pseudolabel-export/1",
    fingerprint: fingerprint(identity),
    made_by: `pseudolabel ${VERSION}`,
    dataset: identity.dataset,
    labels: identity.labels,
    exported_as: identity.format,
    options: { ...identity.options },
    pages: { ...pages, dropped: sorted(pages.dropped) },
    words: { ...words, ignored: sorted(words.ignored), dropped: sorted(words.dropped) },
    entries,
    changed: sorted(changed),
    images: sorted(images),
    splits,
    notes: [...notes],
  };
}

/** Sets the mark that everything is there. @throws {StoreError} if the store fails */
export async function endExport(
  { store, prefix }: ExportPlace,
  report: ExportDocument,
): Promise<void> {
  await writeDocument(store, prefix + DONE, report);
  await store.remove(prefix + BEGUN).catch((error) => {
    // Beside the other mark it means nothing; a role may write and not remove.
    if (!(error instanceof StoreError)) throw error;
  });
}
