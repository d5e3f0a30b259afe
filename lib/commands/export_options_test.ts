import assert from "node:assert/strict";
import { OptionValues, parseFlags } from "../cli/option_values.ts";
import { RunError } from "../base/errors.ts";
import { FLAGS, readExportOptions } from "./export_options.ts";

function read(args: string) {
  const { flags } = parseFlags(args.split(" ").filter(Boolean), Object.values(FLAGS));
  return readExportOptions(new OptionValues(flags, {}), "demo");
}

Deno.test("readExportOptions() takes what formats want where nothing is said", () => {
  const { options, given, out } = read("--format alto");
  assert.deepEqual([options.granularity, options.whenIgnored, options.images, out], [
    ...["line", "drop-word", "copy", "store"],
  ]);
  assert.deepEqual(given, {});
  assert.equal(read("--format doctr-det").options.whenIgnored, "drop-page");
  assert.equal(read("--format jsonl --out -").options.images, "paths");
  assert.equal(read("--format coco --unread").options.images, "paths");
});

Deno.test("readExportOptions() records what decides on the export's bytes, not where it goes", () => {
  const { given } = read("--format coco --out x --val 0.2 --no-turn --group ^(d+)_");
  assert.deepEqual(given, { val: "0.2", group: "^(d+)_", "no-turn": "true" });
});

Deno.test("readExportOptions() refuses what can't be and says what it takes", () => {
  const cases: [args: string, said: RegExp][] = [
    ["", /^--format is required: paddleocr-det, /],
    ["--format tesseract", /^--format must be of paddleocr-det.*'tesseract'/],
    [
      "--format coco --out -",
      /^--out - takes formats of one file \(csv, jsonl\): coco has several/,
    ],
    ["--format csv --out - --images copy", /^--out - has no room/],
    ["--format yolo-obb --images paths", /^--images paths is impossible with yolo-obb/],
    ["--format coco --images move", /^--images must be copy, link or paths: it is 'move'/],
    ["--format yolo-obb --images link", /^--images link is impossible with yolo-obb/],
    ["--format coco --unread --images copy", /^--unread goes with --images paths/],
    ["--format mmocr-rec --unread", /^--unread goes with --images paths/],
    ["--format coco --val 0.7 --test 0.7", /^--val and --test exceed 1 together/],
    ["--format coco --group x", /^--group goes with --val or --test/],
    ["--format coco --group-column id", /^--group-column goes with --val or --test/],
    [
      "--format coco --val 0.1 --group-column doc",
      /^--group-column must be id, image_path, .*metadata\.FIELD: it is 'doc'/,
    ],
    ["--format coco --val 0.1 --group (", /^--group must be a regular expression: it is '\('/],
    ["--format coco --min-confidence 2", /^--min-confidence must be a number from 0 to 1/],
    ["--format coco --max-length 2.5", /^--max-length must be a whole number/],
    ["--format coco --status failed", /^--status must be of ok, empty: it has 'failed'/],
    ["--format coco --marks all", /^--marks must be exclude-wrong, corrected or only-reviewed/],
  ];
  for (const [args, said] of cases) {
    assert.throws(() => read(args), (error) => {
      assert.ok(error instanceof RunError && error.exit === "usage");
      assert.match(error.message, said);
      return true;
    });
  }
});
