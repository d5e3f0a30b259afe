import assert from "node:assert/strict";
import fc from "fast-check";
import { pairPages } from "./pair_pages.ts";
import type { TruthName } from "./truth.ts";

const rows = (...paths: (string | [path: string, id: string])[]) =>
  paths.map((each, index) => {
    const [imagePath, id] = typeof each === "string" ? [each, `id-${index}`] : each;
    return { index, id, imagePath };
  });

Deno.test("pages are paired by the picture's name, wherever either lies", async () => {
  const truths = [{ path: "b" }, { path: "deep/a" }, { path: "gt_img_3" }, { path: "none" }];
  const found = await pairPages(truths, rows("s3://x/a.jpg", "img/b.png", "c.jpg", "img_3.jpg"));
  assert.deepEqual([...found.pairs], [[0, 1], [1, 0], [3, 2]]);
  assert.deepEqual(found.truthOnly, { count: 1, examples: ["none"] });
  assert.deepEqual(found.labelsOnly, { count: 1, examples: ["c.jpg"] });
  assert.equal(found.ambiguous.count, 0);
});

Deno.test("equal names are told apart by their folders; where that is not enough, neither is taken", async () => {
  const truths = [{ path: "train/001" }, { path: "val/001" }, { path: "x/2" }, { path: "y/2" }];
  const found = await pairPages(
    truths,
    rows("images/val/001.jpg", "images/train/001.jpg", "images/z/2.jpg"),
  );
  assert.deepEqual([...found.pairs], [[0, 1], [1, 0]]);
  assert.deepEqual(found.ambiguous, { count: 1, examples: ["images/z/2.jpg"] });
  const two = await pairPages([{ path: "001" }], rows("a/001.jpg", "b/001.jpg"));
  assert.deepEqual([[...two.pairs], two.ambiguous.count], [[], 1]);
});

Deno.test("ids decide where both have them, but equal ids of other pictures are a coincidence", async () => {
  const truths = [{ path: "a/1", id: "p" }, { path: "b/1", id: "q" }, { path: "x", id: "1" }];
  const found = await pairPages(truths, rows(["z/1.jpg", "q"], ["z/1.jpg", "p"], ["y.jpg", "1"]));
  assert.deepEqual([...found.pairs], [[0, 1], [1, 0]]);
  assert.equal(found.truthOnly.count, 1);
});

Deno.test("examples are few, counts are whole", async () => {
  const many = Array.from({ length: 500 }, (_, i) => ({ path: `t${i}` }));
  const found = await pairPages(many, rows(...Array.from({ length: 300 }, (_, i) => `l${i}.jpg`)));
  assert.deepEqual([found.truthOnly.count, found.truthOnly.examples.length], [500, 10]);
  assert.deepEqual([found.labelsOnly.count, found.labelsOnly.examples.length], [300, 10]);
});

/** What the paired pages are by comparing each with each. */
function plainly(truths: readonly TruthName[], labels: ReturnType<typeof rows>) {
  const last = (path: string) => path.slice(path.lastIndexOf("/") + 1);
  const shared = (one: string, other: string) => {
    const [a, b] = [one.split("/").reverse(), other.split("/").reverse()];
    let n = 1;
    while (n < Math.min(a.length, b.length) && a[n] === b[n]) n++;
    return n;
  };
  const best = <T>(all: readonly (readonly [T, number])[]): T | undefined => {
    const most = all.filter(([, fit]) => fit === Math.max(...all.map(([, fit]) => fit)));
    return most.length === 1 ? most[0][0] : undefined;
  };
  const wanted = labels.map(({ id, imagePath }): readonly [number, number] | undefined => {
    const path = imagePath.replace(/\.jpg$/, "");
    const same = truths.flatMap((truth, at) => truth.id === id ? [at] : []);
    if (same.length === 1) {
      const [at] = same;
      const alike = truths[at].path === id || last(truths[at].path) === last(path);
      if (alike) return [at, Infinity];
    }
    const fits = truths.flatMap((truth, at) =>
      last(truth.path) === last(path) ? [[at, shared(truth.path, path)] as const] : []
    );
    const at = best(fits);
    return at === undefined ? undefined : [at, shared(truths[at].path, path)];
  });
  return truths.flatMap((_, at): [number, number][] => {
    const row = best(wanted.flatMap((want, row) => want?.[0] === at ? [[row, want[1]]] : []));
    return row === undefined ? [] : [[row, at]];
  }).sort((a, b) => a[0] - b[0]);
}

Deno.test("pages are paired as comparing each with each would pair them", async () => {
  const part = fc.constantFrom("a", "b", "c");
  const path = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
  const truth = fc.record({ path, id: fc.option(part, { nil: undefined }) });
  const label = fc.tuple(path.map((path) => `${path}.jpg`), part);
  const [truths, labels] = [fc.array(truth, { maxLength: 6 }), fc.array(label, { maxLength: 6 })];
  await fc.assert(
    fc.asyncProperty(truths, labels, async (truths, labels) => {
      const { pairs } = await pairPages(truths, rows(...labels));
      assert.deepEqual([...pairs], plainly(truths, rows(...labels)));
    }),
    { numRuns: 500 },
  );
});

Deno.test("where each of many folders has its 1.jpg, a page takes a few looks, not one at each", async () => {
  const count = 2_000;
  const paths = Array.from({ length: count }, (_, i) => `set/doc-${i}/pages/1`);
  let looks = 0;
  const truths = {
    length: count,
    at(index: number) {
      looks++;
      return { path: paths[index] };
    },
  };
  const labels = rows(...paths.map((path) => `s3://images/other/${path}.jpg`).reverse());
  const { pairs, ambiguous } = await pairPages(truths, labels);
  assert.deepEqual([pairs.length, ambiguous.count], [count, 0]);
  for (const [row, truth] of pairs) assert.equal(row, count - 1 - truth);
  assert.ok(looks < 300 * count, `${looks} looks at ${count} pages`);
  // Without the folder that tells them apart none of them is the one.
  const unclear = await pairPages(truths, rows("s3://images/pages/1.jpg"));
  assert.deepEqual([unclear.pairs.length, unclear.ambiguous.count], [0, 1]);
});
