/**
 * @module commands/export: writes a data set's labels as a trainer reads them.
 */

import { basename, dirname, resolve } from "node:path";
import { systemClock } from "../base/clock.ts";
import { type ExitName, RunError, StoreError } from "../base/errors.ts";
import { parseJsonAs, z } from "../base/json.ts";
import { quoted, shown } from "../base/text.ts";
import type { Command, Context } from "../cli/command.ts";
import { type OptionValues, usageError } from "../cli/option_values.ts";
import { OPTIONS } from "../cli/options.ts";
import { readSettings } from "../cli/settings.ts";
import type { ExportIdentity, ExportPlace } from "../export/marker.ts";
import type { ExportDocument, ReviewMark } from "../state/documents.ts";
import type { Store } from "../store/store.ts";
import { type Asked, FLAGS, readExportOptions } from "./export_options.ts";
import type { Services } from "./services.ts";

/** Files that the user names are read up to so many bytes. */
const MAX_FILE = 16 << 20;

/** Changes nothing but the place it writes to. */
export const command: Command = {
  name: "export",
  summary: "write the labels as a trainer reads them: PaddleOCR, COCO, ALTO, …",
  description:
    "A pure function of the output, and with --min-agreement of what agree has found: the same " +
    "labels and options give the same bytes. Says what " +
    "became of every page and word (export.json and a table), and fails if that doesn't add up. " +
    "Interrupted, the same command continues. docs/FORMATS.md says what each format carries. " +
    "Asks nothing, pays nothing, needs no API key.",
  options: [
    OPTIONS.datasetName,
    OPTIONS.store,
    OPTIONS.s3Bucket,
    OPTIONS.outputKey,
    OPTIONS.memoryBudget,
  ],
  flags: Object.values(FLAGS),
  async run(values: OptionValues, context: Context): Promise<ExitName> {
    const settings = readSettings(values);
    const [
      { openUnasking },
      { openOutput },
      { openSource },
      { engineText, needAgreement, withAgreement },
      { watchRows },
    ] = await Promise.all([
      import("./services.ts"),
      import("../dataset/output_scan.ts"),
      import("../parquet/source.ts"),
      import("../state/agreement.ts"),
      import("../cli/watch_rows.ts"),
    ]);
    await using services = await openUnasking(settings, values.env, context);
    const asked = readExportOptions(values, settings.datasetName);
    const [charset, filter] = [
      asked.charsetFile === undefined ? undefined : await readCharsetFile(asked.charsetFile),
      asked.filterFile === undefined ? undefined : await readFilterFile(asked.filterFile),
    ];
    const { store } = services;
    const { outputKey, datasetName } = settings;
    const info = await store.stat(outputKey, { signal: context.stop });
    if (!info) {
      throw new RunError(
        "conflict",
        `${store.url}/${outputKey} is not there: label the data set to its end first ` +
          `(run --dataset-name ${datasetName})`,
      );
    }
    const output = await openOutput(openSource(store, info, { signal: context.stop }));
    const marks = asked.options.marks ? await readMarks(store, datasetName) : undefined;
    const probed = await readProbe(output.keyValues, store, context.stop);
    const agreement = asked.options.minAgreement === undefined
      ? undefined
      : await needAgreement(store, info, datasetName, context.stop);
    const options = {
      ...asked.options,
      probed,
      charset: charset?.characters,
      minConfidence: asked.options.minConfidence ?? filter?.min_confidence,
      minPageConfidence: asked.options.minPageConfidence ?? filter?.min_page_confidence,
    };
    const identity: ExportIdentity = {
      dataset: datasetName,
      labels: {
        url: `${store.url}/${outputKey}`,
        etag: info.etag,
        bytes: info.size,
        rows: output.rows,
      },
      format: options.format.name,
      options: {
        ...asked.given,
        ...(charset ? { charset: charset.digest } : {}),
        ...(filter ? { filter: JSON.stringify(filter) } : {}),
        ...(probed ? { "probed-frame": probed.frame } : {}),
        ...(agreement
          ? {
            "agreed-engines": [agreement.footer.a, agreement.footer.b].map(engineText).join(","),
            agreement: agreement.etag,
          }
          : {}),
      },
      marks: marks ? JSON.stringify([...marks.values()]) : null,
    };
    const place = asked.out === "-" ? undefined : await openPlace(asked, datasetName, services);
    const [{ exportLabels }, { PrintedFile, StoreFiles }, marker, { booksTable }] = await Promise
      .all([
        import("../export/export.ts"),
        import("../export/files.ts"),
        import("../export/marker.ts"),
        import("../export/books.ts"),
      ]);
    const found = place && await marker.beginExport(place, identity, context.stop);
    if (found && "done" in found) {
      report(found.done, place, context, booksTable);
      context.printError("It was there already: nothing was written.\n");
      return "ok";
    }
    const watch = watchRows("exporting", context, systemClock);
    const exported = await exportLabels({
      options,
      rows: agreement ? withAgreement(output.scan(), agreement) : output.scan(),
      total: output.rows,
      marks: marks ?? new Map(),
      source: services.images,
      files: place
        ? new StoreFiles(place.store, place.prefix, context.giveUp)
        : new PrintedFile(context.print),
      present: found?.present ?? (() => false),
      memory: settings.memoryBudget,
      signal: context.stop,
      onProgress: watch.progress,
    }).finally(() => watch[Symbol.dispose]());
    const document = marker.exportReport(identity, exported);
    if (place) await marker.endExport(place, document);
    await place?.tidy?.();
    report(document, place, context, booksTable);
    return "ok";
  },
};

/** Says where it is and what became of everything. */
function report(
  document: ExportDocument,
  place: ExportPlace | undefined,
  { print, printError }: Context,
  booksTable: (document: ExportDocument) => string[],
): void {
  if (place) print(`${place.store.url}/${place.prefix}\n`);
  printError([...booksTable(document), ...document.notes].map((line) => `${line}\n`).join(""));
}

/** Where the files go. @throws {RunError} `usage` */
async function openPlace(
  { out, options }: Asked,
  dataset: string,
  { store, images }: Services,
): Promise<ExportPlace & { readonly tidy?: () => Promise<void> }> {
  if (out === "store") {
    const { exportPrefix } = await import("../state/keys.ts");
    return { store, prefix: exportPrefix(dataset, options.format.name) };
  }
  const s3 = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/s.exec(out);
  if (!s3) {
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(out)) {
      throw usageError(
        `--out must be a folder, s3://bucket/prefix, - or store: it is ${shown(out)}`,
      );
    }
    const { openFolder, tidyFolder } = await import("../store/folder.ts");
    return { store: openFolder(out), prefix: "", tidy: () => tidyFolder(out) };
  }
  const { isSafeKey } = await import("../store/store.ts");
  const prefix = (s3[2] ?? "").replace(/\/$/, "");
  if (prefix !== "" && !isSafeKey(prefix)) {
    throw usageError(`--out must name a prefix without empty or dotted parts: it is ${shown(out)}`);
  }
  const bucket = images.bucket?.(s3[1]);
  if (!bucket) throw usageError("--out can't be a bucket in the local profile: name a folder");
  return { store: bucket, prefix: prefix === "" ? "" : `${prefix}/` };
}

/** What a probe has shown of the model that the output is of. */
async function readProbe(
  keyValues: Readonly<Record<string, string>>,
  store: Store,
  signal: AbortSignal,
) {
  const [{ OUTPUT_FOOTER_KEY, outputFooter }, { findFrame }] = await Promise.all([
    import("../state/documents.ts"),
    import("../state/known_frame.ts"),
  ]);
  const { value } = parseJsonAs(outputFooter, keyValues[OUTPUT_FOOTER_KEY] ?? "");
  return value && await findFrame(store, value.engine, value.model, signal);
}

async function readMarks(
  store: Store,
  dataset: string,
): Promise<ReadonlyMap<string, ReviewMark>> {
  const { Reviews } = await import("../state/reviews.ts");
  return (await Reviews.open(store, dataset)).marks;
}

async function readCharsetFile(path: string) {
  const bytes = await readFile("--charset", path);
  const { readCharset } = await import("../export/charset.ts");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw usageError(`--charset ${quoted(path)} is no UTF-8 text`);
  }
  const characters = readCharset(text);
  if ("problem" in characters) {
    throw usageError(
      `--charset ${quoted(path)} is no dictionary of one character a line: ${characters.problem}`,
    );
  }
  const { createHash } = await import("node:crypto");
  const digest = createHash("sha256").update(bytes).digest("hex");
  return { characters, digest };
}

const share = z.number().min(0).max(1);
const filterFile = z.object({
  min_confidence: share.nullish(),
  min_page_confidence: share.optional(),
}).refine((filter) => Object.values(filter).some((value) => value !== undefined));

async function readFilterFile(path: string) {
  const { value } = parseJsonAs(filterFile, await readFile("--filter", path));
  // As evaluate writes it where it ended with 9: no word is good enough by it.
  if (value?.min_confidence === null) {
    throw usageError(
      `--filter ${quoted(path)} certifies no threshold: evaluate with more checked pages or a ` +
        "larger --target-error first, or give --min-confidence yourself",
    );
  }
  if (value) return { ...value, min_confidence: value.min_confidence ?? undefined };
  throw usageError(
    `--filter ${quoted(path)} is no JSON with min_confidence or min_page_confidence from 0 to 1`,
  );
}

/** Reads a file that the user names. @throws {RunError} `usage` if that can't be */
async function readFile(flag: string, path: string): Promise<Uint8Array<ArrayBuffer>> {
  const { openFolder } = await import("../store/folder.ts");
  try {
    const folder = openFolder(dirname(resolve(path)));
    return (await folder.read(basename(path), { maxBytes: MAX_FILE })).bytes;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw usageError(`${flag} can't be read: ${error.message}`);
  }
}
