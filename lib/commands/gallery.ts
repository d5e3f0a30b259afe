/**
 * @module commands/gallery: shows a data set's images with their labels: served on this machine, or
 * as one file.
 */

import { counted } from "../base/figures.ts";
import { systemClock } from "../base/clock.ts";
import { type ExitName, RunError, StoreError } from "../base/errors.ts";
import { printable, shown } from "../base/text.ts";
import type { RowStatus } from "../dataset/row.ts";
import type { Command, Context } from "../cli/command.ts";
import { type OptionValues, usageError } from "../cli/option_values.ts";
import { type FlagSpec, OPTIONS } from "../cli/options.ts";
import { readSettings } from "../cli/settings.ts";
import type { Gallery } from "../view/gallery.ts";
import type { Selection } from "../view/gallery_pick.ts";
import type { Store } from "../store/store.ts";

/** Pages where nothing is said. */
const SERVED_PAGES = 200;
const FILED_PAGES = 50;
const MAX_PAGES = 10_000;
const STATUSES = ["ok", "empty", "failed"] as const satisfies readonly RowStatus[];

const FLAGS = {
  worst: { flag: "worst", help: "the most doubtful pages first (the default)" },
  disagreeing: {
    flag: "disagreeing",
    help: "the pages first on which two engines agree least, as the command agree has found it",
  },
  sample: { flag: "sample", help: "a random choice of pages instead, in the order of the rows" },
  seed: { flag: "seed", value: "N", help: "decides on the choice of --sample (default 1)" },
  pages: {
    flag: "pages",
    value: "N",
    help: `pages at most, 1 to ${MAX_PAGES} (default ${SERVED_PAGES}, in a file ${FILED_PAGES})`,
  },
  status: {
    flag: "status",
    value: "NAMES",
    help: `only pages that ended so: ${STATUSES.join(", ")}; several separated by commas`,
  },
  id: { flag: "id", value: "ID", help: "only the page with this id" },
  below: {
    flag: "below",
    value: "N",
    help: "only pages whose page confidence is below it, 0 to 1; of their words those below it",
  },
  out: {
    flag: "out",
    value: "FILE",
    help: "write one file with small pictures instead of serving: a path, - for standard output, " +
      "or store for reports/{dataset}/gallery.html",
  },
  port: {
    flag: "port",
    value: "N",
    help: "port to serve on, 0 to 65535 (default 0: any free one)",
  },
  reviewer: {
    flag: "reviewer",
    value: "NAME",
    help: "who marks pages (default: this machine's name)",
  },
} as const satisfies Record<string, FlagSpec>;

/** Changes nothing but marks, and the file that is asked for. */
export const command: Command = {
  name: "gallery",
  summary: "look at the images with their labels over them, doubtful pages first; mark wrong ones",
  description:
    "Serves a page on this machine alone and prints its link; it ends with Ctrl-C. Boxes are " +
    "coloured by confidence, words and boxes lead to each other, the key m marks a page as " +
    "wrong: marks lie in reviews/{dataset}/marks.json. e, x and a put words right, c keeps the " +
    "page as a truth for evaluate. With --out it writes a page that can be passed on. Asks " +
    "nothing, pays nothing, needs no API key.",
  options: [
    OPTIONS.datasetName,
    OPTIONS.store,
    OPTIONS.s3Bucket,
    OPTIONS.inputKey,
    OPTIONS.outputKey,
    OPTIONS.checkpointPrefix,
  ],
  flags: Object.values(FLAGS),
  async run(values, context) {
    const settings = readSettings(values);
    const out = values.given(FLAGS.out)?.[0];
    const selection = readSelection(values, out === undefined ? SERVED_PAGES : FILED_PAGES);
    const port = values.number(FLAGS.port, 0, 65_535, "whole") ?? 0;
    const reviewer = values.given(FLAGS.reviewer)?.[0] ?? context.hostname();
    if (reviewer.length > 100) throw usageError("--reviewer must be of 100 characters at most");
    const [
      { agreedLabels, openLabels },
      { pickPages },
      { Gallery },
      { Reviews },
      { findFrame },
      { openUnasking },
      watch,
    ] = await Promise.all([
      import("../view/labels.ts"),
      import("../view/gallery_pick.ts"),
      import("../view/gallery.ts"),
      import("../state/reviews.ts"),
      import("../state/known_frame.ts"),
      import("./services.ts"),
      import("../cli/watch_rows.ts"),
    ]);
    await using services = await openUnasking(settings, values.env, context);
    const { store, images } = services;
    const labels = await openLabels(store, settings, context.stop);
    const beside = await agreedLabels(store, labels, settings.datasetName, context.stop);
    if (selection.order === "disagreeing" && !beside.agreed) {
      throw new RunError("conflict", beside.problem);
    }
    if (!beside.agreed && beside.made) {
      context.printError(`${printable(`Without another engine's words: ${beside.problem}`)}\n`);
    }
    const { labels: joined, agreed } = beside;
    const reading = watch.watchRows("looking for doubtful pages", context, systemClock);
    const picked = await pickPages(joined, selection, context.stop, reading.progress)
      .finally(() => reading[Symbol.dispose]());
    const gallery = new Gallery({
      dataset: settings.datasetName,
      ...{ store, images, labels: joined, picked, selection, reviewer, clock: systemClock },
      ...agreed && { agreed: agreed.join(" and ") },
      reviews: await Reviews.open(store, settings.datasetName),
      probed: await findFrame(store, labels.manifest.engine, labels.manifest.model, context.stop),
    });
    const { datasetName } = settings;
    return out === undefined
      ? await serve(gallery, datasetName, port, context)
      : await write(gallery, datasetName, out, store, context);
  },
};

function readSelection(values: OptionValues, pages: number): Selection {
  const [worst, disagreeing, sample] = [FLAGS.worst, FLAGS.disagreeing, FLAGS.sample]
    .map((flag) => values.onCommandLine(flag));
  if (Number(worst) + Number(disagreeing) + Number(sample) > 1) {
    throw usageError("--worst, --disagreeing and --sample exclude each other");
  }
  return {
    order: sample ? "sample" : disagreeing ? "disagreeing" : "worst",
    seed: values.number(FLAGS.seed, 0, 2 ** 32 - 1, "whole") ?? 1,
    limit: values.number(FLAGS.pages, 1, MAX_PAGES, "whole") ?? pages,
    status: values.names(FLAGS.status, STATUSES),
    id: values.given(FLAGS.id)?.[0],
    below: values.number(FLAGS.below, 0, 1, "any"),
  };
}

async function serve(
  gallery: Gallery,
  dataset: string,
  port: number,
  { serve, stop, print, printError, onSignal }: Context,
): Promise<ExitName> {
  const { galleryHandler } = await import("../view/gallery_server.ts");
  const token = Array.from(
    crypto.getRandomValues(new Uint8Array(16)),
    (byte) => byte.toString(16).padStart(2, "0"),
  ).join("");
  const handler = galleryHandler({ gallery, dataset, token, port: () => server.port });
  const server = serve(port, handler);
  onSignal({ stopping() {}, leaving() {} }); // it is how a gallery ends
  print(`http://127.0.0.1:${server.port}/${token}/gallery.html\n`);
  printError("Open this link in a browser on this machine; Ctrl-C ends it.\n");
  if (!stop.aborted) {
    await new Promise<void>((resolve) => {
      stop.addEventListener("abort", () => resolve(), { once: true });
    });
  }
  await server.close();
  return "ok";
}

async function write(
  gallery: Gallery,
  dataset: string,
  out: string,
  store: Store,
  context: Context,
): Promise<ExitName> {
  const [{ galleryFile }, { reportKey }, { watchRows }] = await Promise.all([
    import("../view/gallery_file.ts"),
    import("../state/keys.ts"),
    import("../cli/watch_rows.ts"),
  ]);
  const watch = watchRows("making small pictures", context, systemClock);
  const { html, pages, left } = await galleryFile(gallery, dataset, context.stop, watch.progress)
    .finally(() => watch[Symbol.dispose]());
  const made = counted(pages, "page");
  const room = left > 0 ? `; ${left} more found no room: pick fewer with --pages` : "";
  if (out === "-") {
    context.print(html);
    if (room) context.printError(`${made}${room}\n`);
    return "ok";
  }
  const bytes = new TextEncoder().encode(html);
  let where: string;
  if (out === "store") {
    const key = reportKey(dataset, "gallery.html");
    await store.write(key, bytes, { contentType: "text/html; charset=utf-8" });
    where = `${store.url}/${key}`;
  } else {
    await writeTo(out, bytes, context);
    where = out;
  }
  context.print(`${where}\n`);
  context.printError(`${made}${room}\n`);
  return "ok";
}

async function writeTo(path: string, bytes: Uint8Array, { writeFile }: Context): Promise<void> {
  try {
    await writeFile(path, bytes);
  } catch (error) {
    if (error instanceof RunError || error instanceof StoreError) throw error;
    const why = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw new RunError(
      "usage",
      `--out can't be written: ${shown(path)}: ${why}; --out - > FILE lets the shell write it`,
      { cause: error },
    );
  }
}
