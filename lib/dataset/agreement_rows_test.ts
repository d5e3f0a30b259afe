import assert from "node:assert/strict";
import fc from "fast-check";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { byDuckdb, duckdbTypes } from "../../dev/testing/parquet_readers.ts";
import { openSource } from "../parquet/source.ts";
import {
  AGREEMENT_STATES,
  type AgreementRow,
  type AgreementState,
  encodeAgreement,
  openAgreementFile,
} from "./agreement_rows.ts";

async function encode(
  rows: readonly AgreementRow[],
  keyValues: Record<string, string> = {},
): Promise<Uint8Array<ArrayBuffer>> {
  async function* each() {
    yield* await Promise.resolve(rows);
  }
  const parts = await Array.fromAsync(encodeAgreement(each(), keyValues));
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

async function open(bytes: Uint8Array<ArrayBuffer>) {
  const store = new MemoryStore();
  store.put("a.parquet", bytes);
  return await openAgreementFile(openSource(store, (await store.stat("a.parquet"))!));
}

const anyRow: fc.Arbitrary<AgreementRow> = fc.record({
  id: fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }),
  sha256: fc.option(fc.constant("ab".repeat(32))),
  state: fc.constantFrom(...Object.keys(AGREEMENT_STATES) as AgreementState[]),
  agreement: fc.option(fc.double({ min: 0, max: 1, noNaN: true }).map((n) => n + 0)),
  onlyOther: fc.option(fc.nat()),
  words: fc.array(fc.double({ min: 0, max: 1, noNaN: true }).map((n) => n + 0), { maxLength: 5 }),
  others: fc.array(fc.option(fc.string({ unit: "grapheme", maxLength: 5 })), { maxLength: 5 }),
}, { noNullPrototype: true });

Deno.test("agreement rows come back as they were written, whole and in ranges", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyRow, { minLength: 1, maxLength: 12 }), async (rows) => {
      const file = await open(await encode(rows, { mark: "한글" }));
      assert.deepEqual([file.rows, file.keyValues.mark], [rows.length, "한글"]);
      assert.deepEqual(await Array.fromAsync(file.scan()), rows);
      const last = rows.length - 1;
      assert.deepEqual(await Array.fromAsync(file.scan([[last, last + 1]])), [rows[last]]);
    }),
    { numRuns: 40 },
  );
});

const ROWS: AgreementRow[] = [
  {
    ...{ id: "one", sha256: "ab", state: "compared", agreement: 0.75, onlyOther: 2 },
    ...{ words: [1, 0.5], others: ["합계", null] },
  },
  {
    ...{ id: "two", sha256: null, state: "failed", agreement: null, onlyOther: null },
    ...{ words: [], others: [] },
  },
];

Deno.test("agreement rows are read by other tools: names, types, nulls", async () => {
  const bytes = await encode(ROWS);
  assert.deepEqual(await duckdbTypes(bytes), {
    id: "VARCHAR",
    image_sha256: "VARCHAR",
    state: "VARCHAR",
    agreement: "DOUBLE",
    only_other: "BIGINT",
    word_agreements: "DOUBLE[]",
    other_texts: "VARCHAR[]",
  });
  const found = await byDuckdb(
    bytes,
    "SELECT id, agreement, unnest(word_agreements) AS word, unnest(other_texts) AS other " +
      "FROM FILE",
  );
  assert.deepEqual(found, [
    { id: "one", agreement: 0.75, word: 1, other: "합계" },
    { id: "one", agreement: 0.75, word: 0.5, other: null },
  ]);
});

Deno.test("agreement rows: equal rows give equal bytes, and thousands are cut into groups", async () => {
  const many = Array.from({ length: 12_000 }, (_, i) => ({ ...ROWS[i % 2], id: `${i}` }));
  const [one, other] = [await encode(many), await encode(many)];
  assert.deepEqual(one, other);
  const file = await open(one);
  let at = 0;
  for await (const { id } of file.scan()) assert.equal(id, `${at++}`);
  assert.equal(at, 12_000);
});

Deno.test("what is no file of agreement is refused by name", async () => {
  const bytes = await encode(ROWS);
  await assert.rejects(open(bytes.slice(0, -9)), /a\.parquet/);
  const store = new MemoryStore();
  store.put("a.parquet", bytes);
  const cut = bytes.slice();
  cut.fill(0, 4, 60);
  const file = await open(cut);
  await assert.rejects(Array.fromAsync(file.scan()), /a\.parquet/);
});
