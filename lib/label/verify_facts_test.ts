import assert from "node:assert/strict";
import { gunzipSync, gzipSync } from "node:zlib";
import type { MemoryStore } from "../../dev/testing/memory_store.ts";
import { CHECKPOINTS, DATASET, OUTPUT, RESPONSES } from "../../dev/soak/data.ts";
import { copyOf, labelled } from "../../dev/soak/labelled.ts";
import { settingsOf } from "../../dev/testing/settings.ts";
import { RunError } from "../base/errors.ts";
import type { Finding } from "../dataset/check_row.ts";
import { readFooter, readRows } from "../dataset/output_read.ts";
import { encodeRows } from "../dataset/output_write.ts";
import { memorySource } from "../parquet/source.ts";
import { CHECKPOINT_FOOTER_KEY, OUTPUT_FOOTER_KEY } from "../state/documents.ts";
import { verify } from "./verify.ts";

/** With a twin, a missing image, an empty one, one that is no image, and a rejected page. */
const ROWS = 21;
const ARGS = ["--dataset-name", DATASET, "--batch-size", "4"];

/** A data set that was labelled twice, so that its second run reuses what the first one paid. */
const TWICE = [ARGS, [...ARGS, "--fresh"]];

/** The messages of all findings, that of an error that ends it included. */
async function findingsIn(store: MemoryStore): Promise<string[]> {
  const findings: Finding[] = [];
  const { signal } = new AbortController();
  try {
    await verify(store, settingsOf(ARGS), (finding) => findings.push(finding), signal);
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    return [error.message];
  }
  return findings.map(({ code, message }) => `${code}: ${message}`);
}

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** Where each single value of a document is. */
function paths(value: Json, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([key, inner]) => paths(inner, [...path, key]));
}

/** The document with another value in one place. */
function changed(value: Json, [key, ...rest]: readonly string[], to: (old: Json) => Json): Json {
  if (key === undefined) return to(value);
  const inner = value as { [key: string]: Json };
  const copy = Array.isArray(value) ? [...value] : { ...inner };
  (copy as typeof inner)[key] = changed(inner[key], rest, to);
  return copy;
}

/** Other values that a fact could be given. */
function others(value: Json): readonly Json[] {
  if (typeof value === "number") return value > 0 ? [value + 1, value - 1] : [value + 1];
  if (typeof value === "boolean") return [!value];
  if (value === null) return ["x"];
  if (/^\d{4}-\d\d-\d\dT/.test(String(value))) return ["2001-01-01T00:00:00.000Z"];
  return [`${value}x`];
}

const read = (bytes: Uint8Array): Json => JSON.parse(new TextDecoder().decode(bytes));

/** A document of a run: how it is read and written. */
interface Document {
  /** What findings about it say. */
  readonly names: string;
  get(store: MemoryStore): Promise<Json>;
  put(store: MemoryStore, value: Json): Promise<void>;
}

function plain(name: string): Document {
  const key = CHECKPOINTS + name;
  return {
    names: key,
    get: (store) => Promise.resolve(read(store.objects.get(key)!)),
    put: (store, value) => Promise.resolve(void store.put(key, JSON.stringify(value))),
  };
}

function footer(key: string, entry: string): Document {
  const source = (store: MemoryStore) => memorySource(key, store.objects.get(key)!);
  return {
    names: key,
    get: async (store) => JSON.parse((await readFooter(source(store))).keyValues[entry]),
    async put(store, value) {
      const rows = await Array.fromAsync(readRows(source(store)));
      store.put(key, await encodeRows(rows, { keyValues: { [entry]: JSON.stringify(value) } }));
      if (key !== OUTPUT) return;
      // Whoever changes the output can also make the result vouch for it.
      const { etag, size } = (await store.stat(OUTPUT))!;
      const mark = read(store.objects.get(`${CHECKPOINTS}result.json`)!);
      const named = changed(
        changed(mark, ["output", "etag"], () => etag),
        ["output", "bytes"],
        () => size,
      );
      store.put(`${CHECKPOINTS}result.json`, JSON.stringify(named));
    },
  };
}

function answer(key: string): Document {
  return {
    names: key,
    get: (store) => Promise.resolve(read(gunzipSync(store.objects.get(key)!))),
    put: (store, value) =>
      Promise.resolve(void store.put(key, new Uint8Array(gzipSync(JSON.stringify(value))))),
  };
}

/** What docs/RELIABILITY.md says is not proven. `+` is a value that is raised. */
const UNPROVEN: readonly RegExp[] = [
  /^manifest\.json (created_at|created_by|batch_job_id|output)$/,
  /^result\.json finished_at$/,
  /^ledger\.json runs\.[^.]+\.updated_at$/,
  /^ledger\.json runs\.[^.]+\.(answers|billed_pages|attempts|answers_reused) \+$/,
  // Of the earlier run, what it reused is nowhere else.
  /^ledger\.json runs\.EARLIER\.answers_reused/,
];

/** Facts that two objects know of. */
const shared = /^(manifest|responses|batch_\d+\.parquet spent\.failed_attempts)/;

Deno.test("verify() finds every fact of every document that is not what rows and answers show", async (t) => {
  const { store } = await labelled(ROWS, TWICE);
  assert.deepEqual(await findingsIn(store), []);
  const earlier = Object.keys(
    (read(store.objects.get(`${CHECKPOINTS}ledger.json`)!) as {
      runs: Record<string, Json>;
    }).runs,
  )[0];
  const responses = [...store.objects.keys()].filter((key) => key.startsWith(RESPONSES));
  const documents: readonly Document[] = [
    plain("manifest.json"),
    plain("result.json"),
    plain("ledger.json"),
    footer(OUTPUT, OUTPUT_FOOTER_KEY),
    footer(`${CHECKPOINTS}batch_000000.parquet`, CHECKPOINT_FOOTER_KEY),
    footer(`${CHECKPOINTS}batch_000004.parquet`, CHECKPOINT_FOOTER_KEY),
    answer(responses[0]),
  ];
  for (const { names, get, put } of documents) {
    const whole = await get(store);
    for (const path of paths(whole).filter(([first]) => first !== "body")) {
      for (const value of others(path.reduce((at, key) => (at as never)[key], whole))) {
        const raised = typeof value === "number" && value === 1 +
              (path.reduce((at, key) => (at as never)[key], whole) as unknown as number);
        const where = `${names.replace(CHECKPOINTS, "")} ${
          path.join(".").replace(earlier, "EARLIER")
        }${raised ? " +" : ""}`;
        if (UNPROVEN.some((pattern) => pattern.test(where))) continue;
        await t.step(where, async () => {
          const copy = copyOf(store);
          await put(copy, changed(whole, path, () => value));
          const findings = await findingsIn(copy);
          assert.notDeepEqual(findings, []);
          // Where two objects contradict each other, either may be the one that is named.
          const named = findings.some((finding) =>
            finding.includes(names) ||
            shared.test(where) &&
              /^(row_differs|input_changed|checkpoint|ledger|result)/.test(finding)
          );
          assert.ok(named, `none of ${JSON.stringify(findings)} names ${names}`);
        });
      }
    }
  }
});

Deno.test("verify() finds every column of a row without an answer that its input belies", async (t) => {
  const { store } = await labelled(ROWS, TWICE);
  const key = `${CHECKPOINTS}batch_000000.parquet`;
  const batch = await Array.fromAsync(readRows(memorySource(key, store.objects.get(key)!)));
  const output = await Array.fromAsync(readRows(memorySource(OUTPUT, store.objects.get(OUTPUT)!)));
  const missing = output.findIndex((row) => row.metadata.error_code === "image_not_found");
  const row = output[missing];
  assert.ok(missing < 4);
  const { metadata } = row;
  const cases = {
    "schema version": { ...row, schema_version: "v9" },
    "width": { ...row, width: 17 },
    "source": { ...row, metadata: { ...metadata, source: "somebody" } },
    "engine": { ...row, metadata: { ...metadata, engine: "other" } },
    "model version": { ...row, metadata: { ...metadata, model_version: "x" } },
    "confidence": { ...row, metadata: { ...metadata, page_confidence: 0.5 } },
    "page size": { ...row, metadata: { ...metadata, api_width: 3, api_height: 3 } },
    "bill": { ...row, metadata: { ...metadata, billed_pages: 1 } },
    "key of an answer": { ...row, metadata: { ...metadata, response_key: "responses/x" } },
    "input's metadata": { ...row, metadata: { ...metadata, input_metadata: "{}" } },
    "code": { ...row, metadata: { ...metadata, error_code: "made_up" } },
  };
  for (const [what, other] of Object.entries(cases)) {
    await t.step(what, async () => {
      const copy = copyOf(store);
      // In the output and in its checkpoint alike.
      const { keyValues } = await readFooter(memorySource(key, store.objects.get(key)!));
      copy.put(key, await encodeRows(batch.with(missing, other), { keyValues }));
      const footers = await readFooter(memorySource(OUTPUT, store.objects.get(OUTPUT)!));
      copy.put(
        OUTPUT,
        await encodeRows(output.with(missing, other), { keyValues: footers.keyValues }),
      );
      const findings = await findingsIn(copy);
      assert.ok(
        findings.some((finding) => /^(row_differs|status)/.test(finding)),
        JSON.stringify(findings),
      );
    });
  }
});

Deno.test("verify() names a batch that is none of the run's", async () => {
  const { store } = await labelled(ROWS, TWICE);
  const first = store.objects.get(`${CHECKPOINTS}batch_000000.parquet`)!;
  for (const name of ["batch_000006.parquet", "batch_9.parquet", "batch_000000.parquet.bak"]) {
    const copy = copyOf(store);
    copy.put(CHECKPOINTS + name, first);
    assert.deepEqual(await findingsIn(copy), [
      `checkpoint: s3://memory/${CHECKPOINTS}${name}: it is none of the run's 6 batches`,
    ]);
  }
  store.put(`${CHECKPOINTS}set_aside/batch_000000.abc.parquet`, first);
  store.put(`${CHECKPOINTS}notes.txt`, "somebody's");
  assert.deepEqual(await findingsIn(store), []);
});
