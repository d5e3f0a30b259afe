import assert from "node:assert/strict";
import { putLabelled } from "../../dev/testing/labelled.ts";
import { MemoryStore } from "../../dev/testing/memory_store.ts";
import { RunError } from "../base/errors.ts";
import type { AgreementRow } from "../dataset/agreement_rows.ts";
import { openOutput } from "../dataset/output_scan.ts";
import { openSource } from "../parquet/source.ts";
import type { AgreementFooter } from "./documents.ts";
import {
  agreeCommand,
  checkAgreementPlace,
  findAgreement,
  needAgreement,
  withAgreement,
  writeAgreement,
} from "./agreement.ts";
import { agreementKey, defaultOutputKey } from "./keys.ts";

const signal = new AbortController().signal;
const [A, B] = ["ocr", "other"].map((model) => ({ engine: "upstage-ocr", model }));
const OUTPUT = defaultOutputKey("demo");
const KEY = agreementKey(OUTPUT);

/** Two pages of a word each, and what another engine says of them. */
async function bench(change: (row: AgreementRow) => AgreementRow = (row) => row) {
  const store = new MemoryStore();
  const label = () => putLabelled(store, "demo", [{ words: [{ text: "a" }] }, { id: "two" }]);
  const rows = await label();
  const info = (await store.stat(OUTPUT))!;
  const footer: AgreementFooter = {
    ...{ format: "pseudolabel-agreement-rows/1", dataset: "demo", a: A, b: B },
    output: { key: OUTPUT, etag: info.etag, bytes: info.size, rows: rows.length },
  };
  async function* beside() {
    for (const { id, texts } of rows) {
      yield await Promise.resolve(change({
        ...{ id, sha256: null, state: "compared", agreement: 0.5, onlyOther: 0 },
        ...{ words: texts.map(() => 0.5), others: texts.map(() => "b") },
      }));
    }
  }
  const write = () => writeAgreement(store, footer, beside(), signal);
  return { store, info, write };
}

Deno.test("an agreement is found for the very output that it was made for, and stands beside its rows", async () => {
  const { store, info, write } = await bench();
  const before = await findAgreement(store, info, "demo", signal);
  assert.deepEqual(before.agreement === undefined && before.made, false);
  await write();
  const { agreement } = await findAgreement(store, info, "demo", signal);
  assert.deepEqual([agreement!.footer.a, agreement!.footer.b], [A, B]);
  const output = await openOutput(openSource(store, info));
  const rows = await Array.fromAsync(withAgreement(output.scan(), agreement!));
  assert.deepEqual(rows.map(({ agreement }) => agreement!.words), [[0.5], []]);
  const last = await Array.fromAsync(
    withAgreement(output.scan([[1, 2]]), agreement!, [[1, 2]]),
  );
  assert.deepEqual(last.map(({ id }) => id), ["two"]);
});

Deno.test("an agreement of another version of the output is not used, and what to do is said", async () => {
  const { store, info, write } = await bench();
  await write();
  await putLabelled(store, "demo", [{ words: [{ text: "other" }] }, { id: "two" }]);
  const now = (await store.stat(OUTPUT))!;
  assert.notEqual(now.etag, info.etag);
  const found = await findAgreement(store, now, "demo", signal);
  const again = "agree --dataset-name demo --engines upstage-ocr:ocr,upstage-ocr:other";
  assert.equal(
    found.problem,
    `s3://memory/${KEY} belongs to another version of s3://memory/${OUTPUT}: compare anew (${again})`,
  );
  await assert.rejects(needAgreement(store, now, "demo", signal), (error) => {
    assert.ok(error instanceof RunError && error.exit === "conflict");
    return error.message === found.problem;
  });
});

Deno.test("what lies in the place of an agreement and is none is never used, and never replaced", async () => {
  const { store, info, write } = await bench();
  await write();
  const whole = (await store.read(KEY)).bytes;
  const output = (await store.read(OUTPUT)).bytes;
  for (const bytes of [new Uint8Array(0), whole.slice(0, -5), output]) {
    store.put(KEY, new Uint8Array(bytes));
    const found = await findAgreement(store, info, "demo", signal);
    assert.match(found.problem!, /holds no agreement of engines: move it away, then compare anew/);
    await assert.rejects(
      checkAgreementPlace(store, OUTPUT, signal),
      /holds something else: it is left as it is; move it away/,
    );
  }
  store.put(KEY, new Uint8Array(whole));
  await checkAgreementPlace(store, OUTPUT, signal);
  await checkAgreementPlace(store, "data/processed/none.parquet", signal);
  // A store that fails is no damage.
  store.before = () => {
    throw new Error("down");
  };
  await assert.rejects(findAgreement(store, info, "demo", signal), /down/);
});

Deno.test("an agreement that does not fit its rows ends the reading", async () => {
  const changes: ((row: AgreementRow) => AgreementRow)[] = [
    (row) => ({ ...row, id: `${row.id}x` }),
    (row) => ({ ...row, words: [...row.words, 1], others: [...row.others, "x"] }),
    (row) => ({ ...row, others: [] }),
  ];
  for (const change of changes) {
    const { store, info, write } = await bench(change);
    await write();
    const agreement = await needAgreement(store, info, "demo", signal);
    const output = await openOutput(openSource(store, info));
    await assert.rejects(
      Array.fromAsync(withAgreement(output.scan(), agreement)),
      /does not fit row 0 of its output: compare anew \(agree --dataset-name demo --engines/,
    );
  }
});

Deno.test("a comparison that breaks off leaves what was there", async () => {
  const { store, write } = await bench();
  await write();
  const before = (await store.read(KEY)).bytes;
  const row: AgreementRow = {
    ...{ id: "one", sha256: null, state: "failed", agreement: null, onlyOther: null },
    ...{ words: [], others: [] },
  };
  async function* broken() {
    yield await Promise.resolve(row);
    throw new Error("the store is down");
  }
  const output = { key: OUTPUT, etag: "x", bytes: 1, rows: 1 };
  const footer = { format: "pseudolabel-agreement-rows/1", dataset: "demo", a: A, b: B } as const;
  await assert.rejects(writeAgreement(store, { ...footer, output }, broken(), signal), /is down/);
  assert.deepEqual((await store.read(KEY)).bytes, before);
});

Deno.test("agreeCommand() names an output that is not the usual one", () => {
  assert.equal(agreeCommand("demo", OUTPUT), "agree --dataset-name demo --engines A,B");
  assert.equal(
    agreeCommand("demo", "x.parquet", [A, B]),
    "agree --dataset-name demo --engines upstage-ocr:ocr,upstage-ocr:other --output-s3-key x.parquet",
  );
});
