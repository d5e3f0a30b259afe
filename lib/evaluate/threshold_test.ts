import assert from "node:assert/strict";
import { seeded } from "../../dev/testing/random.ts";
import {
  findThreshold as find,
  GRID,
  type JudgedWord,
  LevelSums,
  type ThresholdOptions,
} from "./threshold.ts";

/** Words column by column; 1 for a wrong one. */
interface Words {
  readonly confidence: number[];
  readonly wrong: number[];
  readonly page: number[];
}

function findThreshold(words: Words, target: number, risk: number, options?: ThresholdOptions) {
  const pages = Map.groupBy(words.page.keys(), (at) => words.page[at]);
  const sums = new LevelSums();
  for (const page of pages.values()) {
    sums.addPage(page.map((at) => ({
      confidence: words.confidence[at],
      wrong: words.wrong[at] === 1,
    })));
  }
  return find(sums, target, risk, options);
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
  const { title, bad, pages, useful, alike } of [
    { title: "independent words", bad: 0, pages: 300, useful: 0.8, alike: false },
    { title: "pages that are bad throughout", bad: 0.05, pages: 300, useful: 0.5, alike: false },
    { title: "a hundred pages that are alike", bad: 0, pages: 100, useful: 0.8, alike: true },
    { title: "a dozen pages, taken to be alike", bad: 0.05, pages: 12, useful: 0, alike: true },
  ]
) {
  Deno.test(`of many truths at most one in twenty gives a threshold that breaks its promise: ${title}`, () => {
    const random = seeded(20_261_126);
    const errors = trueErrors(random, bad);
    const sets = 60;
    let [found, broken] = [0, 0];
    for (let i = 0; i < sets; i++) {
      const options = { pagesAlike: alike };
      const { level } = findThreshold(draw(random, pages, 50, bad), 0.02, 0.05, options);
      if (!level) continue;
      found++;
      if (errors.get(level.min_confidence)! > 0.02) broken++;
    }
    assert.ok(broken <= 0.05 * sets, `${broken} of ${sets}`);
    // A promise that is kept by never finding anything is worth nothing.
    assert.ok(found >= useful * sets, `found ${found} of ${sets}`);
  });
}

/** Pages that are right but for some that are wrong in most words, whatever the confidence. */
function drawRuined(random: () => number, pages: number, ruined: number, share: number): Words {
  const words: Words = { confidence: [], wrong: [], page: [] };
  for (let page = 0; page < pages; page++) {
    const risk = random() < ruined ? share : 0.001;
    for (let i = 0; i < 30; i++) {
      words.confidence.push(random());
      words.wrong.push(random() < risk ? 1 : 0);
      words.page.push(page);
    }
  }
  return words;
}

Deno.test("pages that are wrong throughout, of which the truth may show none, break no promise", () => {
  const random = seeded(4);
  // More than 2 % of the words are wrong at every level.
  for (const [ruined, share] of [[0.028, 0.9], [0.05, 0.5], [0.1, 0.25]] as const) {
    for (const pages of [12, 150, 220]) {
      const sets = 60;
      let broken = 0;
      for (let i = 0; i < sets; i++) {
        const { level } = findThreshold(drawRuined(random, pages, ruined, share), 0.02, 0.05);
        if (level) broken++;
      }
      assert.ok(broken <= 0.05 * sets, `${broken} of ${sets}: ${[ruined, share, pages]}`);
    }
  }
  // Words alone can't keep it: this is what taking pages to be alike takes for granted.
  const lucky = Array.from({ length: 60 }, () => drawRuined(random, 12, 0.05, 0.5))
    .filter((sample) => findThreshold(sample, 0.02, 0.05, { pagesAlike: true }).level);
  assert.ok(lucky.length > 10, `${lucky.length} of 60`);
});

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

const ALIKE = { pagesAlike: true };

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
  const { level, why } = findThreshold(alike(149, 30), 0.02, 0.05, ALIKE);
  assert.equal(why, null);
  assert.equal(level?.min_confidence, 0);
  assert.equal(level.words, 149);
  const { level: none, why: small, least_words } = findThreshold(alike(148, 30), 0.02, 0.05, ALIKE);
  assert.deepEqual([none, small, least_words], [null, "few_words", 149]);
});

Deno.test("a truth without words, of few pages or with many errors certifies nothing, and says why", () => {
  assert.equal(findThreshold(alike(0, 1), 0.02, 0.05).why, "few_words");
  assert.equal(findThreshold(alike(5_000, 9), 0.02, 0.05, ALIKE).why, "few_pages");
  const pages = findThreshold(alike(5_000, 148), 0.02, 0.05);
  assert.deepEqual([pages.why, pages.least_pages], ["few_pages", 149]);
  assert.equal(findThreshold(alike(5_000, 149), 0.02, 0.05).level?.upper_bound.toFixed(3), "0.020");
  const { why, failed, level } = findThreshold(alike(5_000, 200, 500), 0.02, 0.05);
  assert.deepEqual([why, level, failed?.wrong], ["errors", null, 500]);
});

Deno.test("errors that come together on a page count for more than they are", () => {
  const apart = alike(4_000, 80, 40);
  const together = { ...apart, wrong: apart.page.map((page) => page === 3 ? 1 : 0) };
  assert.equal(findThreshold(apart, 0.02, 0.05, ALIKE).level?.wrong, 40);
  const { design_effect, level } = findThreshold(together, 0.02, 0.05, ALIKE);
  assert.equal(together.wrong.filter(Boolean).length, 50);
  assert.ok(design_effect > 20, `${design_effect}`);
  assert.equal(level, null);
});

/** Words of one page. */
type World = (random: () => number) => JudgedWord[];

const words = (count: number, draw: () => JudgedWord) => Array.from({ length: count }, draw);

/** Worlds in which a threshold might be wrong, each just beyond 2 % where it counts. */
const WORLDS: Readonly<Record<string, World>> = {
  "one confidence for all words": (random) =>
    words(30, () => ({ confidence: 0.9, wrong: random() < 0.022 })),
  "two confidences, the upper one not good enough": (random) =>
    words(30, () => {
      const sure = random() < 0.7;
      return { confidence: sure ? 0.99 : 0.5, wrong: random() < (sure ? 0.023 : 0.2) };
    }),
  "words of every confidence are wrong as often": (random) =>
    words(30, () => ({ confidence: random(), wrong: random() < 0.021 })),
  "the surer, the worse": (random) =>
    words(30, () => {
      const confidence = random();
      return { confidence, wrong: random() < 0.045 * confidence };
    }),
  "confidences in steps, and pages that have more or less of errors": (random) => {
    const factor = -Math.log(1 - random()); // exponential, 1 in the mean
    return words(30, () => {
      const confidence = Math.round((1 - random() ** 2.5) * 20) / 20;
      return { confidence, wrong: random() < ((1 - confidence) * 0.4 + 0.015) * factor };
    });
  },
  "few large pages among small ones, and these worse": (random) => {
    const count = Math.min(400, Math.ceil(8 / random() ** 0.8));
    const risk = count > 60 ? 0.04 : 0.008;
    return words(count, () => ({ confidence: random(), wrong: random() < risk }));
  },
  "pages of two words": (random) =>
    words(2, () => ({ confidence: random(), wrong: random() < 0.024 })),
};

Deno.test("in worlds of other kinds, too, at most one truth in twenty gives a broken promise", () => {
  const random = seeded(11);
  for (const [name, world] of Object.entries(WORLDS)) {
    const whole = new LevelSums();
    for (let page = 0; page < 4_000; page++) whole.addPage(world(random));
    for (const [pages, options] of [[30, ALIKE], [150, {}], [250, {}]] as const) {
      const sets = 40;
      let broken = 0;
      for (let set = 0; set < sets; set++) {
        const sums = new LevelSums();
        for (let page = 0; page < pages; page++) sums.addPage(world(random));
        const { level } = find(sums, 0.02, 0.05, options);
        if (!level) continue;
        const { words, wrong } = whole.at(GRID.indexOf(level.min_confidence));
        if (wrong > 0.02 * words) broken++;
      }
      assert.ok(broken <= 0.05 * sets, `${broken} of ${sets}: ${name}, ${pages} pages`);
    }
  }
});
