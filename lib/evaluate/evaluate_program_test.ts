import assert from "node:assert/strict";
import { putLabelled } from "../../dev/testing/labelled.ts";
import { runProgram } from "../../dev/testing/program.ts";
import { parseJsonAs } from "../base/json.ts";
import { comparisonDocument, evaluationDocument, filterDocument } from "../state/documents.ts";
import { openFolder } from "../store/folder.ts";

/** Twenty pages of twenty words in a folder, and their truth in files beside it. */
async function bench(): Promise<{ folder: string; env: Record<string, string> }> {
  const folder = await Deno.makeTempDir();
  const store = openFolder(`${folder}/store`);
  const words = (page: number, wrong: boolean) =>
    Array.from({ length: 20 }, (_, i) => ({
      text: wrong && i === 0 ? "wr0ng" : `w${page}-${i}`,
      confidence: wrong && i === 0 ? 0.3 : 0.99,
      box: [20, 20 + 40 * i, 90, 20] as const,
    }));
  const pages = (wrong: number) =>
    Array.from({ length: 20 }, (_, page) => ({ words: words(page, page < wrong) }));
  await putLabelled(store, "demo", pages(10));
  await putLabelled(store, "other", pages(0));
  await Deno.mkdir(`${folder}/truth`);
  for (let page = 0; page < 20; page++) {
    const lines = words(page, false).map(({ text, box: [x, y, w, h] }) =>
      `${x},${y},${x + w},${y},${x + w},${y + h},${x},${y + h},${text}`
    );
    await Deno.writeTextFile(`${folder}/truth/${page}.txt`, lines.join("\n"));
  }
  await Deno.writeTextFile(`${folder}/truth/README.txt`, "Made for a test.");
  return { folder, env: { STORE: `${folder}/store` } };
}

Deno.test("evaluate and compare leave their documents, and say where no threshold can be had", async () => {
  const { folder, env } = await bench();
  try {
    const read = async (name: string) =>
      await Deno.readFile(`${folder}/store/reports/demo/${name}`);
    const truth = ["--truth", `${folder}/truth`];
    const line = ["evaluate", "--dataset-name", "demo", ...truth];
    const target = [...line, "--target-error", "0.02"];
    const few = await runProgram(target, { env });
    assert.equal(few.code, 9, few.stderr);
    assert.match(
      few.stdout.replace(/\s+/g, " "),
      /takes 149 pages of which none is bad at least, and it has 20, which can't tell less than 14\.0 %; --pages-alike/,
    );
    const found = await runProgram([...target, "--pages-alike"], { env });
    assert.equal(found.code, 0, found.stderr);
    assert.match(found.stdout.replace(/\s+/g, " "), /as far as no kind of page is missing/);
    assert.match(
      found.stdout.replace(/\s+/g, " "),
      /recall 100\.0 %, precision 100\.0 %, hmean 100\.0 % \(400 of 400/,
    );
    assert.match(found.stdout, /^file:.*\/reports\/demo\/filter\.json$/m);
    const filter = parseJsonAs(filterDocument, await read("filter.json")).value!;
    assert.equal(filter.min_confidence, 0.31);
    assert.deepEqual([filter.threshold.level?.words, filter.threshold.level?.wrong], [390, 0]);
    const document = parseJsonAs(evaluationDocument, await read("evaluation.json")).value!;
    assert.deepEqual(document.pages.truth_only, { count: 1, examples: ["README"] });
    assert.match(new TextDecoder().decode(await read("evaluation.html")), /^<!doctype html>/);

    const report = await runProgram(["report", "--dataset-name", "demo"], { env });
    assert.equal(report.code, 0, report.stderr);
    assert.match(new TextDecoder().decode(await read("report.html")), /<h2>Against a truth<\/h2>/);

    // Tighter than so few words can show: the older filter must not be left to be used.
    const none = await runProgram([...line, "--target-error", "0.002", "--json"], { env });
    assert.equal(none.code, 9, none.stderr);
    const { threshold } = JSON.parse(none.stdout);
    assert.deepEqual([threshold.level, threshold.why], [null, "few_words"]);
    assert.equal(
      parseJsonAs(filterDocument, await read("filter.json")).value?.min_confidence,
      null,
    );

    const compared = await runProgram(
      ["compare", "--dataset-name", "demo", "--with", "other", ...truth],
      { env },
    );
    assert.equal(compared.code, 0, compared.stderr);
    assert.match(compared.stdout.replace(/\s+/g, " "), /other is better: \+2\.5 points/);
    assert.ok(
      compared.stdout.split("\n").every((line) => line.length <= 80 || /^file:/.test(line)),
    );
    const comparison = parseJsonAs(comparisonDocument, await read("compare_other.json")).value!;
    assert.deepEqual([comparison.pages.identical, comparison.words.equal], [10, 390]);
    assert.equal(comparison.truth?.better, "b");

    const refused = await runProgram(["evaluate", "--dataset-name", "demo", "--truth", "nowhere"], {
      env,
    });
    assert.equal(refused.code, 3, refused.stderr);
    assert.match(refused.stderr, /nowhere holds no truth.*'\.\/nowhere'\n$/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
