/**
 * @module commands/export_options: what the export command takes on its command line, and what that
 * means.
 */

import type { OptionValues } from "../cli/option_values.ts";
import { usageError } from "../cli/option_values.ts";
import type { FlagSpec } from "../cli/options.ts";
import { shown } from "../base/text.ts";
import type { RowStatus } from "../dataset/row.ts";
import type { ExportOptions } from "../export/export.ts";
import type { Format } from "../export/format.ts";
import { FORMATS } from "../export/formats.ts";

const STATUSES = ["ok", "empty"] as const satisfies readonly RowStatus[];

/** The flags, in the order of `--help`. */
export const FLAGS = {
  format: {
    flag: "format",
    value: "F",
    help: `how to write the labels (required): ${FORMATS.map(({ name }) => name).join(", ")}`,
  },
  out: {
    flag: "out",
    value: "PLACE",
    help: "where to: a folder, s3://bucket/prefix, - for standard output (csv, jsonl), or store " +
      "for exports/{dataset}/{format}/ in the store (the default)",
  },
  images: {
    flag: "images",
    value: "HOW",
    help: "copy: pictures go into the export (the default); link: they get a second name there, " +
      "where both are folders of this machine; paths: they are named where they lie",
  },
  granularity: {
    flag: "granularity",
    value: "UNIT",
    help: "word or line: what is written as one thing (default: as the format's readers want it)",
  },
  minConfidence: {
    flag: "min-confidence",
    value: "N",
    help: "words below it are not learnt from, 0 to 1",
  },
  minAgreement: {
    flag: "min-agreement",
    value: "N",
    help:
      "words on which two engines agree less, by the command agree, are not learnt from, 0 to 1",
  },
  filter: {
    flag: "filter",
    value: "FILE",
    help: "takes min_confidence and min_page_confidence from a JSON file, as evaluate writes it",
  },
  minPageConfidence: {
    flag: "min-page-confidence",
    value: "N",
    help: "pages below it are left out, 0 to 1",
  },
  minHeight: { flag: "min-height", value: "PX", help: "lower words are not learnt from, pixels" },
  minArea: {
    flag: "min-area",
    value: "PX",
    help: "smaller words are not learnt from, square pixels",
  },
  maxLength: {
    flag: "max-length",
    value: "N",
    help: "longer texts are not learnt from, characters",
  },
  charset: {
    flag: "charset",
    value: "FILE",
    help: "words with other characters are not learnt from: a dictionary, one character a line",
  },
  whenIgnored: {
    flag: "when-ignored",
    value: "WHAT",
    help: "where a format can't mark words as not to be learnt from: drop-page or drop-word " +
      "(default: as suits the format)",
  },
  status: {
    flag: "status",
    value: "NAMES",
    help: `only pages that ended so: ${STATUSES.join(", ")}; several separated by commas`,
  },
  split: {
    flag: "split",
    value: "NAMES",
    help: "only rows whose split column says so; several separated by commas",
  },
  marks: {
    flag: "marks",
    value: "HOW",
    help: "what reviewers have marked: exclude-wrong or only-reviewed",
  },
  val: {
    flag: "val",
    value: "SHARE",
    help: "share of the pages for validation, 0 to 1, by a stable hash (default: as rows say)",
  },
  test: { flag: "test", value: "SHARE", help: "share of the pages for testing, likewise" },
  group: {
    flag: "group",
    value: "PATTERN",
    help: "a regular expression: pages whose ids agree in what it matches stay in one part",
  },
  seed: { flag: "seed", value: "TEXT", help: "another one splits otherwise (default 1)" },
  frame: {
    flag: "frame",
    value: "HOW",
    help: "how the engine reads pictures that EXIF turns by half or mirrors: upright or stored " +
      "(default: unknown, such pages are left out)",
  },
  unread: {
    flag: "unread",
    help: "reads no picture: believes the sizes that the engine gave (with --images paths)",
  },
  cropFormat: {
    flag: "crop-format",
    value: "TYPE",
    help: "pictures of words as png (default) or jpg",
  },
  noTurn: { flag: "no-turn", help: "leaves upright text upright in paddleocr-rec" },
} as const satisfies Record<string, FlagSpec>;

/** What was asked for, but for what lies in files. */
export interface Asked {
  /** What decides on the words and the files. */
  readonly options: Omit<ExportOptions, "charset">;
  /** Options as they were given, for the export's own record. */
  readonly given: Readonly<Record<string, string>>;
  /** A folder, `s3://bucket/prefix`, `-` or `store`. */
  readonly out: string;
  /** The dictionary that `--charset` names. */
  readonly charsetFile?: string;
  /** What `--filter` names. */
  readonly filterFile?: string;
}

/** Reads the command line. @throws {RunError} `usage` */
export function readExportOptions(values: OptionValues, dataset: string): Asked {
  const format = readFormat(values);
  const one = <T extends string>(flag: FlagSpec, ...choices: readonly T[]): T | undefined =>
    values.oneOf(flag, choices);
  const number = (flag: FlagSpec, max: number, kind: "whole" | "any" = "any") =>
    values.number(flag, 0, max, kind);
  const out = values.given(FLAGS.out)?.[0] ?? "store";
  if (out.trim() === "") throw usageError("--out must be a folder, s3://bucket/prefix, - or store");
  const unread = values.onCommandLine(FLAGS.unread);
  const printed = out === "-";
  const images = one(FLAGS.images, "copy", "link", "paths") ??
    (printed || unread ? "paths" : "copy");
  if (printed && !format.single) {
    const single = FORMATS.filter(({ single }) => single).map(({ name }) => name).join(", ");
    throw usageError(`--out - takes formats of one file (${single}): ${format.name} has several`);
  }
  if (printed && images !== "paths") {
    throw usageError(`--out - has no room for --images ${images}`);
  }
  if (images === "link" && format.rewritesPictures) {
    throw usageError(`--images link is impossible with ${format.name}: it rewrites pictures`);
  }
  if (images === "paths" && !format.namesPaths && format.pictures === "pages") {
    throw usageError(
      `--images paths is impossible with ${format.name}: its readers look beside the labels`,
    );
  }
  if (unread && (images !== "paths" || format.pictures === "crops")) {
    throw usageError("--unread goes with --images paths, and not with formats of crops");
  }
  const [val, test] = [number(FLAGS.val, 1), number(FLAGS.test, 1)];
  if ((val ?? 0) + (test ?? 0) > 1) throw usageError("--val and --test exceed 1 together");
  const group = readPattern(values);
  if (group && val === undefined && test === undefined) {
    throw usageError("--group goes with --val or --test: without them rows say what they are for");
  }
  const options: Asked["options"] = {
    ...{ format, dataset, images, unread },
    granularity: one(FLAGS.granularity, "word", "line") ?? format.granularity,
    whenIgnored: one(FLAGS.whenIgnored, "drop-page", "drop-word") ?? format.whenIgnored,
    minConfidence: number(FLAGS.minConfidence, 1),
    minAgreement: number(FLAGS.minAgreement, 1),
    minPageConfidence: number(FLAGS.minPageConfidence, 1),
    minHeight: number(FLAGS.minHeight, 1e5),
    minArea: number(FLAGS.minArea, 1e9),
    maxLength: number(FLAGS.maxLength, 1e5, "whole"),
    status: values.names(FLAGS.status, STATUSES) ?? STATUSES,
    splits: names(values, FLAGS.split),
    marks: one(FLAGS.marks, "exclude-wrong", "only-reviewed"),
    split: { val, test, group, seed: values.given(FLAGS.seed)?.[0] ?? "1" },
    frame: one(FLAGS.frame, "upright", "stored"),
    cropType: one(FLAGS.cropFormat, "png", "jpg") ?? "png",
    turn: !values.onCommandLine(FLAGS.noTurn),
  };
  const given: Record<string, string> = {};
  for (const { flag } of Object.values<FlagSpec>(FLAGS)) {
    if (flag === FLAGS.out.flag || flag === FLAGS.format.flag) continue;
    const value = values.given({ flag, help: "" })?.[0];
    if (value !== undefined) given[flag] = value;
    else if (values.onCommandLine({ flag, help: "" })) given[flag] = "true";
  }
  return {
    ...{ options, given, out },
    charsetFile: values.given(FLAGS.charset)?.[0],
    filterFile: values.given(FLAGS.filter)?.[0],
  };
}

function readFormat(values: OptionValues): Format {
  const name = values.given(FLAGS.format)?.[0];
  const format = FORMATS.find((format) => format.name === name);
  if (format) return format;
  const all = FORMATS.map(({ name }) => name).join(", ");
  throw usageError(
    name === undefined
      ? `--format is required: ${all}`
      : `--format must be of ${all}: it is ${shown(name)}`,
  );
}

function names(values: OptionValues, flag: FlagSpec): readonly string[] | undefined {
  return values.given(flag)?.[0].split(",").map((name) => name.trim());
}

function readPattern(values: OptionValues): RegExp | undefined {
  const given = values.given(FLAGS.group)?.[0];
  if (given === undefined) return undefined;
  try {
    return new RegExp(given, "u");
  } catch {
    throw usageError(`--group must be a regular expression: it is ${shown(given)}`);
  }
}
