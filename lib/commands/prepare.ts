/**
 * @module commands/prepare: makes the input of a data set of a folder, a prefix or a table of
 * images.
 */

import { grouped } from "../base/figures.ts";
import { systemClock } from "../base/clock.ts";
import { EXIT, explain } from "../base/errors.ts";
import { printable } from "../base/text.ts";
import type { Command } from "../cli/command.ts";
import { type OptionValues, usageError } from "../cli/option_values.ts";
import { type FlagSpec, OPTIONS } from "../cli/options.ts";
import { readSettings } from "../cli/settings.ts";
import type { PrepareWishes } from "../prepare/prepare.ts";

const FLAGS = {
  images: {
    flag: "images",
    value: "PLACE",
    help:
      "where the images are: a folder (./scans), s3://bucket/prefix/, or a prefix in the store; " +
      "with --from where the table's relative paths start",
  },
  from: {
    flag: "from",
    value: "TABLE",
    help: "a table of images instead: CSV, JSON lines or Parquet, one file or a folder of parts",
  },
  idColumn: {
    flag: "id-column",
    value: "NAME",
    help: "the table's column of ids; otherwise id, image_id, uuid or uid, else the image's path",
  },
  imageColumn: {
    flag: "image-column",
    value: "NAME",
    help: "the table's column of images: paths, addresses or the bytes themselves; otherwise " +
      "image_path, image, file_name, image_url, url, path or filename",
  },
  split: {
    flag: "split",
    value: "RULE",
    help:
      "by path (train=train/*,val=val/*), by chance that stays the same (train=0.9,val=0.1), or " +
      "one name for all",
  },
  copy: {
    flag: "copy",
    help: "bring images that lie elsewhere into the store: files of this machine, other buckets, " +
      "https addresses",
  },
  convert: {
    flag: "convert",
    help:
      "store an upright copy of every image that its EXIF orientation turns, and a PNG of what " +
      "the engine does not take, as far as that can be decoded (WebP, BMP, TIFF)",
  },
  replace: {
    flag: "replace",
    help: "replace the input that is there; what did not change in a bucket is not read again",
  },
} as const satisfies Record<string, FlagSpec>;

/** Reads images' headers; writes the input, and copies where told to. Asks no API, pays nothing. */
export const command: Command = {
  name: "prepare",
  summary: "make the input of a folder, a prefix or a table of images",
  description:
    "Finds every image by its content and writes data/processed/{dataset}.parquet, which run takes " +
    "as it is, and reports/{dataset}/prepared.json, which says what was left out and why. Asks no " +
    "API and needs no key.",
  options: [
    OPTIONS.datasetName,
    OPTIONS.store,
    OPTIONS.s3Bucket,
    OPTIONS.inputKey,
    OPTIONS.checkpointPrefix,
    OPTIONS.memoryBudget,
    OPTIONS.engine,
    OPTIONS.maxOutageMinutes,
    OPTIONS.leaseSeconds,
  ],
  flags: Object.values(FLAGS),
  async run(values, context) {
    const settings = readSettings(values);
    const wishes = await readWishes(values);
    const clock = systemClock;
    const { openUnasking } = await import("./services.ts");
    // It waits for its stores by itself.
    const { standalone, printError } = context;
    await using services = await openUnasking(settings, values.env, { standalone, printError });
    const [{ prepare }, { PrepareTally }, { openProgress }, { renderPrepared }, { preparedKey }] =
      await Promise.all([
        import("../prepare/prepare.ts"),
        import("../prepare/tally.ts"),
        import("../cli/progress.ts"),
        import("../cli/prepare_summary.ts"),
        import("../state/keys.ts"),
      ]);
    const tally = new PrepareTally();
    const started = clock.now();
    const perSecond = () => tally.found / Math.max(1, (clock.now() - started) / 1_000);
    using progress = openProgress({
      ...{ terminal: context.terminal, write: context.printError, clock },
      words: () => [
        `${grouped(tally.found)} images looked at`,
        `${Math.round(perSecond())}/s`,
        ...tally.skipped > 0 ? [`${grouped(tally.skipped)} left out`] : [],
        ...tally.copied > 0 ? [`${grouped(tally.copied)} copied`] : [],
        ...tally.converted > 0 ? [`${grouped(tally.converted)} converted`] : [],
      ],
      facts: () => {
        const { found, taken, skipped, reused, copied, converted } = tally;
        const per_s = Math.round(perSecond() * 10) / 10;
        return { found, taken, skipped, reused, copied, converted, per_s };
      },
    });
    const left = "no input is written, what was copied is kept: run the same command again";
    let stoppedBy: string | undefined;
    context.onSignal({
      stopping(signal) {
        stoppedBy = signal;
        progress.note(`${signal}: ending`);
      },
      leaving: (signal) => context.printError(`pseudolabel: stopped by ${signal}; ${left}\n`),
    });
    try {
      const { store, images } = services;
      const document = await prepare({
        ...{ settings, wishes, store, images, tally, clock, random: Math.random },
        note: (message) => progress.note(message),
        stop: context.stop,
        giveUp: context.giveUp,
        owner: `process ${context.pid} on ${context.hostname()}`,
        holder: crypto.randomUUID(),
      });
      progress.end({ exit: EXIT.ok });
      context.print(renderPrepared(document, `${store.url}/${preparedKey(settings.datasetName)}`));
      return "ok";
    } catch (error) {
      const [exit, message] = explain(error);
      const stopped = stoppedBy !== undefined && error === context.stop.reason;
      const said = stopped ? `stopped by ${stoppedBy}; ${left}` : message;
      if (exit !== "usage") progress.end({ exit: EXIT[exit], error: said });
      context.printError(`pseudolabel: ${printable(said)}\n`);
      return exit;
    }
  },
};

async function readWishes(values: OptionValues): Promise<PrepareWishes> {
  const { parseSplit, SPLIT_FORM } = await import("../prepare/split.ts");
  const text = (spec: FlagSpec) => {
    const given = values.given(spec)?.[0];
    if (given === "") throw usageError(`--${spec.flag} is empty`);
    return given;
  };
  const split = text(FLAGS.split);
  if (split !== undefined && !parseSplit(split)) {
    const { shown } = await import("../base/text.ts");
    throw usageError(`--split must be ${SPLIT_FORM}: it is ${shown(split)}`);
  }
  const wishes: PrepareWishes = {
    images: text(FLAGS.images),
    from: text(FLAGS.from),
    idColumn: text(FLAGS.idColumn),
    imageColumn: text(FLAGS.imageColumn),
    split,
    copy: values.onCommandLine(FLAGS.copy),
    convert: values.onCommandLine(FLAGS.convert),
    replace: values.onCommandLine(FLAGS.replace),
  };
  const column = wishes.idColumn !== undefined
    ? FLAGS.idColumn
    : wishes.imageColumn !== undefined
    ? FLAGS.imageColumn
    : undefined;
  if (column && wishes.from === undefined) throw usageError(`--${column.flag} goes with --from`);
  return wishes;
}
