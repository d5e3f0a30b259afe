import assert from "node:assert/strict";
import fc from "fast-check";
import { rankErrors, rankings } from "./ranking.ts";

Deno.test("rankErrors() of a figure that knows all, nothing, and the contrary", () => {
  const wrong = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
  const knows = rankErrors(wrong.map((each) => 1 - each), wrong);
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
  const nothing = rankErrors(wrong.map(() => 0.5), wrong);
  assert.deepEqual([nothing.auroc, nothing.average_precision], [0.5, 0.2]);
  assert.deepEqual(
    nothing.kept.map(({ errors }) => errors!.toFixed(9)),
    Array(7).fill("0.200000000"),
  );
  assert.equal(rankErrors(wrong, wrong).auroc, 0);
});

Deno.test("rankErrors() counts as the definitions say", () => {
  const word = fc.record({
    sure: fc.integer({ min: 0, max: 5 }),
    wrong: fc.integer({ min: 0, max: 1 }),
  });
  fc.assert(fc.property(fc.array(word, { maxLength: 30 }), (words) => {
    const [bad, fine] = [1, 0].map((kind) => words.filter(({ wrong }) => wrong === kind));
    const found = rankErrors(words.map(({ sure }) => sure), words.map(({ wrong }) => wrong));
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

Deno.test("rankings() ranks the same words by each figure", () => {
  const sample = {
    confidence: [0.9, 0.8, 0.7, 0.2],
    agreement: [1, 0.5, NaN, 1],
    wrong: [0, 1, 1, 0],
  };
  const none = { confidence: [NaN, NaN], agreement: [1, 0], wrong: [0, 1] };
  const both = rankings(sample, none, ["a:m", "b:m"]);
  assert.deepEqual([both.words, both.wrong, both.without], [3, 1, 3]);
  assert.deepEqual(
    [both.confidence?.auroc, both.agreement?.auroc, both.both?.auroc],
    [0.5, 1, 0.5],
  );
  const alone = rankings(sample, none);
  assert.deepEqual([alone.words, alone.without, alone.agreement, alone.engines], [
    4,
    2,
    null,
    null,
  ]);
  // An engine that gives no confidences is ranked by agreement all the same.
  const empty = { confidence: [], agreement: [], wrong: [] };
  const unsure = rankings(empty, none, ["a:m", "b:m"]);
  assert.deepEqual([unsure.words, unsure.without, unsure.confidence, unsure.both], [
    2,
    0,
    null,
    null,
  ]);
  assert.equal(unsure.agreement?.auroc, 1);
});
