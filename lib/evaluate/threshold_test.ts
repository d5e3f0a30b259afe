import assert from "node:assert/strict";
import { seeded } from "../../dev/testing/random.ts";
import { findThreshold, GRID, type JudgedWords } from "./threshold.ts";

interface Words extends JudgedWords {
  readonly confidence: number[];
  readonly wrong: number[];
  readonly page: number[];
}

/**
 * Pages as engines make them: most words are sure, the less sure the more often wrong; and a share
 * of the pages is bad throughout, so that errors come together.
 */
function draw(random: () => number, pages: number, each: number, bad: number): Words {
  const words: Words = { confidence: [], wrong: [], page: [] };
  for (let page = 0; page < pages; page++) {
    const worse = random() < bad ? 6 : 1 - bad / 2;
    const count = Math.ceil(each * (0.5 + random()));
    for (let i = 0; i < count; i++) {
      const confidence = Math.round((1 - random() ** 2.5) * 1e4) / 1e4;
      const risk = Math.min(0.95, ((1 - confidence) * 0.6 + 0.003) * worse);
      words.confidence.push(confidence);
      words.wrong.push(random() < risk ? 1 : 0);
      words.page.push(page);
    }
  }
  return words;
}

/**
 * What share of the words at or above each level is wrong, in a set so large that it is the truth.
 */
function trueErrors(random: () => number, bad: number): Map<number, number> {
  const { confidence, wrong } = draw(random, 6_000, 50, bad);
  const order = confidence.map((_, i) => i).sort((a, b) => confidence[b] - confidence[a]);
  const errors = new Map<number, number>();
  let [at, count] = [0, 0];
  for (const level of GRID) {
    for (; at < order.length && confidence[order[at]] >= level; at++) count += wrong[order[at]];
    errors.set(level, at > 0 ? count / at : 0);
  }
  return errors;
}

for (
  const { title, bad, pages, each, useful } of [
    { title: "independent words", bad: 0, pages: 100, each: 50, useful: 0.8 },
    { title: "pages that are bad throughout", bad: 0.05, pages: 200, each: 50, useful: 0.3 },
    { title: "a dozen pages", bad: 0.05, pages: 12, each: 80, useful: 0 },
  ]
) {
  Deno.test(`of many truths at most one in twenty gives a threshold that breaks its promise: ${title}`, () => {
    const random = seeded(20_261_126);
    const errors = trueErrors(random, bad);
    const sets = 80;
    let [found, broken] = [0, 0];
    for (let i = 0; i < sets; i++) {
      const { level } = findThreshold(draw(random, pages, each, bad), 0.02, 0.05);
      if (!level) continue;
      found++;
      if (errors.get(level.min_confidence)! > 0.02) broken++;
    }
    assert.ok(broken <= 0.05 * sets, `${broken} of ${sets}`);
    // A promise that is kept by never finding anything is worth nothing.
    assert.ok(found >= useful * sets, `found ${found} of ${sets}`);
  });
}

Deno.test("the share of errors in the sample itself would break the promise every other time", () => {
  // That the simulation can tell a method that keeps it from one that does not.
  const random = seeded(7);
  const errors = trueErrors(random, 0);
  const sets = 30;
  let broken = 0;
  for (let i = 0; i < sets; i++) {
    const { confidence, wrong } = draw(random, 100, 50, 0);
    const naive = GRID.findLast((level) => {
      const kept = wrong.filter((_, at) => confidence[at] >= level);
      return kept.reduce((sum, each) => sum + each, 0) <= 0.02 * kept.length;
    })!;
    if (errors.get(naive)! > 0.02) broken++;
  }
  assert.ok(broken > 0.25 * sets, `${broken} of ${sets}`);
});

/** So many words, all of one confidence, on so many pages. */
function alike(words: number, pages: number, wrong = 0): Words {
  const each = Array.from({ length: words }, (_, i) => i);
  return {
    confidence: each.map(() => 0.97),
    wrong: each.map((i) => i < wrong ? 1 : 0),
    page: each.map((i) => i % pages),
  };
}

Deno.test("149 words without an error on enough pages are just enough for 2 % at 95 %", () => {
  const { level, why } = findThreshold(alike(149, 30), 0.02, 0.05);
  assert.equal(why, null);
  assert.equal(level?.min_confidence, 0);
  assert.equal(level.words, 149);
  const { level: none, why: small, least_words } = findThreshold(alike(148, 30), 0.02, 0.05);
  assert.deepEqual([none, small, least_words], [null, "few_words", 149]);
});

Deno.test("a truth without words, of few pages or with many errors certifies nothing, and says why", () => {
  assert.equal(findThreshold(alike(0, 1), 0.02, 0.05).why, "few_words");
  assert.equal(findThreshold(alike(5_000, 9), 0.02, 0.05).why, "few_pages");
  const { why, failed, level } = findThreshold(alike(5_000, 100, 500), 0.02, 0.05);
  assert.deepEqual([why, level, failed?.wrong], ["errors", null, 500]);
});

Deno.test("errors that come together on a page count for more than they are", () => {
  const apart = alike(4_000, 80, 40);
  const together = { ...apart, wrong: apart.page.map((page) => page === 3 ? 1 : 0) };
  assert.equal(findThreshold(apart, 0.02, 0.05).level?.wrong, 40);
  const { design_effect, level } = findThreshold(together, 0.02, 0.05);
  assert.equal(together.wrong.filter(Boolean).length, 50);
  assert.ok(design_effect > 20, `${design_effect}`);
  assert.equal(level, null);
});
