import assert from "node:assert/strict";
import { seeded } from "../../dev/testing/random.ts";
import { Pairs } from "./pairs.ts";
import type { Truth, TruthPage } from "./truth.ts";
import { TruthLoads } from "./truth_loads.ts";

/** A truth whose pages say their position, and which counts how often it is asked to go back. */
function truthOf(pages: number, ordered: boolean) {
  const log = { back: 0, last: -1, read: 0 };
  const truth: Truth = {
    ...{ url: "file:///truth", format: "parquet", ordered },
    names: { length: pages, at: () => ({ path: "x" }) },
    page(at) {
      if (at < log.last) log.back++;
      [log.last, log.read] = [at, log.read + 1];
      const page: TruthPage = { boxes: [{ points: [[0, 0]], text: `${at} 합계`, ignore: false }] };
      return Promise.resolve(page);
    },
  };
  return { truth, log };
}

/** For each page of the truth its row. */
function shuffled(count: number): number[] {
  const random = seeded(3);
  const rows = Array.from({ length: count }, (_, row) => row);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [rows[i], rows[j]] = [rows[j], rows[i]];
  }
  return rows;
}

Deno.test("pages of a table in another order are read in loads, each once, and come for their pairs", async () => {
  const count = 9_000;
  const rows = shuffled(count);
  const pairs = Pairs.of(count, (page) => rows[page]);
  const { truth, log } = truthOf(count, true);
  const loads = new TruthLoads(truth, pairs);
  for (let pair = 0; pair < count; pair++) {
    if (pair % 7 === 3) continue; // a row that failed asks for none
    const { boxes } = await loads.page(pair);
    assert.equal(boxes[0].text, `${pairs.truth(pair)} 합계`);
  }
  assert.ok(log.back < 10, `${log.back} times back`);
  assert.equal(log.read, count);
});

Deno.test("nothing is read ahead where orders agree, or where any page is as near as the next", async () => {
  const count = 3_000;
  const rows = shuffled(count);
  for (
    const [rowOf, ordered] of [[(page: number) => page, true], [
      (page: number) => rows[page],
      false,
    ]] as const
  ) {
    const pairs = Pairs.of(count, rowOf);
    const { truth, log } = truthOf(count, ordered);
    const loads = new TruthLoads(truth, pairs);
    for (let pair = 0; pair < 100; pair++) {
      assert.equal((await loads.page(pair)).boxes[0].text, `${pairs.truth(pair)} 합계`);
    }
    assert.equal(log.read, 100);
  }
});
