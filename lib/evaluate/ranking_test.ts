import assert from "node:assert/strict";
import fc from "fast-check";
import { RankedWords, rankErrors } from "./ranking.ts";
import { ValueCounts } from "./value_counts.ts";

/** Words by how sure they are; 1 for a wrong one. */
function counts(by: readonly number[], wrong: readonly number[]): ValueCounts {
  const counted = new ValueCounts();
  by.forEach((value, at) => counted.add(value, wrong[at] === 1));
  return counted;
}

Deno.test("rankErrors() of a figure that knows all, nothing, and the contrary", () => {
  const wrong = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
  const knows = rankErrors(counts(wrong.map((each) => 1 - each), wrong));
  assert.deepEqual([knows.auroc, knows.average_precision], [1, 1]);
  assert.deepEqual(knows.kept.map(({ share, words, errors }) => [share, words, errors]), [
    [0.5, 5, 0],
    [0.6, 6, 0],
    [0.7, 7, 0],
    [0.8, 8, 0],
    [0.9, 9, 1 / 9],
    [0.95, 10, 0.2],
    [1, 10, 0.2],
  ]);
  const nothing = rankErrors(counts(wrong.map(() => 0.5), wrong));
  assert.deepEqual([nothing.auroc, nothing.average_precision], [0.5, 0.2]);
  assert.deepEqual(
    nothing.kept.map(({ errors }) => errors!.toFixed(9)),
    Array(7).fill("0.200000000"),
  );
  assert.equal(rankErrors(counts(wrong, wrong)).auroc, 0);
});

Deno.test("rankErrors() counts as the definitions say", () => {
  const word = fc.record({
    sure: fc.integer({ min: 0, max: 5 }),
    wrong: fc.integer({ min: 0, max: 1 }),
  });
  fc.assert(fc.property(fc.array(word, { maxLength: 30 }), (words) => {
    const [bad, fine] = [1, 0].map((kind) => words.filter(({ wrong }) => wrong === kind));
    const found = rankErrors(
      counts(words.map(({ sure }) => sure), words.map(({ wrong }) => wrong)),
    );
    let wins = 0;
    for (const { sure } of bad) {
      for (const other of fine) wins += sure < other.sure ? 1 : sure === other.sure ? 0.5 : 0;
    }
    if (bad.length === 0 || fine.length === 0) assert.equal(found.auroc, null);
    else assert.ok(Math.abs(found.auroc! - wins / (bad.length * fine.length)) < 1e-9);
    if (bad.length === 0) assert.equal(found.average_precision, null);
    else {
      // Of all that are at most as sure as each wrong one, the share of wrong ones.
      const precision = bad.map(({ sure }) => {
        const looked = words.filter((each) => each.sure <= sure);
        return looked.filter(({ wrong }) => wrong === 1).length / looked.length;
      });
      const mean = precision.reduce((sum, each) => sum + each, 0) / bad.length;
      assert.ok(Math.abs(found.average_precision! - mean) < 1e-9);
    }
    for (const { errors } of found.kept) assert.ok(errors === null || errors >= 0 && errors <= 1);
    const all = found.kept.at(-1)!;
    if (words.length > 0) assert.ok(Math.abs(all.errors! - bad.length / words.length) < 1e-9);
  }));
});

type Word = readonly [confidence: number | null, agreement: number | undefined, wrong: number];

function ranked(words: readonly Word[], engines?: readonly string[]) {
  const all = new RankedWords(engines);
  for (const [confidence, agreement, wrong] of words) all.add(confidence, agreement, wrong === 1);
  return all.rankings;
}

Deno.test("the same words are ranked by each figure", () => {
  const sure: Word[] = [[0.9, 1, 0], [0.8, 0.5, 1], [0.7, undefined, 1], [0.2, 1, 0]];
  const none: Word[] = [[null, 1, 0], [null, 0, 1]];
  const both = ranked([...sure, ...none], ["a:m", "b:m"]);
  assert.deepEqual([both.words, both.wrong, both.without], [3, 1, 3]);
  assert.deepEqual(
    [both.confidence?.auroc, both.agreement?.auroc, both.both?.auroc],
    [0.5, 1, 0.5],
  );
  const alone = ranked([...sure, ...none]);
  assert.deepEqual([alone.words, alone.without, alone.agreement, alone.engines], [
    4,
    2,
    null,
    null,
  ]);
  // An engine that gives no confidences is ranked by agreement all the same.
  const unsure = ranked(none, ["a:m", "b:m"]);
  assert.deepEqual([unsure.words, unsure.without, unsure.confidence, unsure.both], [
    2,
    0,
    null,
    null,
  ]);
  assert.equal(unsure.agreement?.auroc, 1);
});
