import assert from "node:assert/strict";
import {
  checkpointFooter,
  claimDocument,
  ledger,
  manifest,
  meetingDocument,
  reportDocument,
  reviews,
  runResult,
  spending,
  storedAnswer,
} from "./documents.ts";
import { parseAs, parseJsonAs, type Schema } from "../base/json.ts";

const COUNTS = { rows: 3, ok: 1, empty: 1, failed: 1, failures: { x: 1 }, size_mismatches: 0 };

const SPENT = {
  answers_reused: 1,
  failed_attempts: 4,
  runs: { r: { answers: 1, billed_pages: 1, attempts: 2 } },
};

const MANIFEST = {
  format: "pseudolabel-manifest/1",
  run_id: "r",
  dataset: "d",
  input: { url: "s3://b/i", etag: "e", bytes: 9, rows: 3 },
  output: "s3://b/o",
  batch_size: 500,
  engine: "e",
  model: "m",
  schema_version: "v1.0",
  created_at: "2026-11-01T00:00:00.000Z",
  created_by: "pseudolabel 1",
  batch_job_id: null,
};

const RESULT = {
  format: "pseudolabel-result/1",
  run_id: "r",
  output: { url: "s3://b/o", etag: "e", bytes: 9 },
  counts: COUNTS,
  spent: SPENT,
  finished_at: "2026-11-01T00:00:00Z",
};

const RESPONSE = {
  format: "pseudolabel-response/1",
  engine: "e",
  model: "m",
  image_sha256: "ab".repeat(32),
  image_bytes: 9,
  media_type: "image/png",
  attempts: 1,
  received_at: "2026-11-01T00:00:00.000Z",
  paid_by: { dataset: "d", run_id: "r", row_id: "row-1" },
  body: { any: ["thing"] },
};

const LEDGER = {
  format: "pseudolabel-ledger/1",
  dataset: "d",
  runs: {
    r: {
      engine: "e",
      model: "m",
      answers: 1,
      billed_pages: 1,
      attempts: 2,
      answers_reused: 0,
      updated_at: "2026-11-01T00:00:00.000Z",
    },
  },
};

const BINNED = { edges: [0, 1, null], counts: [1, 2], unknown: 0 };
const PAGE = { row: 0, id: "a", status: "ok", words: 1, confidence: null, attempts: 1 };

const REPORT = {
  format: "pseudolabel-report/1",
  dataset: "d",
  made_at: "2026-11-01T00:00:00.000Z",
  made_by: "pseudolabel 1",
  complete: true,
  run: {
    run_id: "r",
    engine: "e",
    model: "m",
    created_at: "2026-11-01T00:00:00.000Z",
    finished_at: null,
    batch_job_id: null,
  },
  input: "s3://b/i",
  output: "s3://b/o",
  rows: { total: 3, done: 3, ok: 1, empty: 1, failed: 1, size_mismatches: 0 },
  failures: [{ code: "x", count: 1, examples: [{ row: 2, id: "c", message: "m" }] }],
  cost: {
    pages_billed: 2,
    price_per_page: 0.01,
    dollars: 0.02,
    answers_reused: 0,
    failed_attempts: 1,
  },
  words: {
    ...{ total: 3, unknown: 0, outside_page: 0, low_confidence: 1 },
    ...{ confidence: BINNED, height: BINNED },
  },
  pages: {
    ...{ confidence: BINNED, words: BINNED, coverage: BINNED, attempts: { "1": 2 } },
    usual: { confidence: null, words: 3, coverage: 0.1, span: 0.9 },
  },
  time: {
    ...{ from: "2026-11-01T00:00:00.000Z", bucket_s: 1, answered: [1], before: 0 },
    ...{ documented_rate: 3, process: null },
  },
  doubtful: [{ ...PAGE, score: 0.5, reasons: ["little text"] }],
  least_confident: [PAGE],
  most_tried: [],
  slowest: [{ ...PAGE, seconds: 2.5 }],
};

const MARK = {
  ...{ id: "a", row: 0, verdict: "wrong", note: "", by: "kim", at: "2026-11-01T00:00:00.000Z" },
  image_sha256: null,
};

const WHOLE: readonly (readonly [name: string, schema: Schema<unknown>, document: object])[] = [
  ["manifest", manifest, MANIFEST],
  ["runResult", runResult, RESULT],
  ["storedAnswer", storedAnswer, RESPONSE],
  ["checkpointFooter", checkpointFooter, { run_id: "r", batch: 0, counts: COUNTS, spent: SPENT }],
  ["ledger", ledger, LEDGER],
  ["spending", spending, { format: "pseudolabel-spending/1", run_id: "r", reserved_pages: 9 }],
  ["reportDocument", reportDocument, REPORT],
  ["reviews", reviews, { format: "pseudolabel-reviews/1", dataset: "d", marks: [MARK] }],
  ["claimDocument", claimDocument, {
    ...{ format: "pseudolabel-claim/1", lease: "l", holder: "h", owner: "o", ttl_ms: 60_000 },
    renewed_at: "2026-11-01T00:00:00.000Z",
  }],
  ["meetingDocument", meetingDocument, {
    ...{ format: "pseudolabel-meeting/1", holder: "h", owner: "o", at: "2026-11-01T00:00:00.000Z" },
  }],
];

for (const [name, schema, document] of WHOLE) {
  Deno.test(`${name} passes a whole document unchanged, and names a field that is missing`, () => {
    assert.deepEqual(parseAs(schema, document), { value: document });
    for (const field of Object.keys(document)) {
      // An answer's body is the API's: it may be anything. Older manifests name no output.
      if (field === "body" || (field === "output" && schema === manifest)) continue;
      const { [field]: _, ...rest } = document as Record<string, unknown>;
      const { problem } = parseAs(schema, rest);
      assert.ok(problem?.startsWith(`${field}: `), `${field}: ${problem}`);
    }
  });
}

Deno.test("parseAs() names the first wrong field by its path, on one line", () => {
  const problem = (change: object) => {
    const parsed = parseAs(manifest, { ...MANIFEST, ...change });
    assert.equal(parsed.value, undefined);
    return parsed.problem!;
  };
  const cases: [change: object, problem: RegExp][] = [
    [{ format: "pseudolabel-manifest/2" }, /^format: .*pseudolabel-manifest\/1/],
    [{ input: { ...MANIFEST.input, rows: -1 } }, /^input\.rows: /],
    [{ input: { ...MANIFEST.input, rows: 1.5 } }, /^input\.rows: /],
    [{ input: null }, /^input: /],
    [{ batch_size: 0 }, /^batch_size: /],
    [{ batch_size: "500" }, /^batch_size: /],
    [{ created_at: "yesterday" }, /^created_at: /],
    [{ batch_job_id: 7 }, /^batch_job_id: /],
  ];
  for (const [change, expected] of cases) {
    assert.match(problem(change), expected);
    assert.doesNotMatch(problem(change), /\n/);
  }
  assert.match(parseAs(manifest, null).problem!, /^document: /);
  assert.match(
    parseAs(checkpointFooter, { run_id: "r", batch: 0, counts: {} }).problem!,
    /^counts\./,
  );
});

Deno.test("parseJsonAs() reads text and bytes, and says where it is no JSON", () => {
  const text = JSON.stringify(MANIFEST);
  assert.deepEqual(parseJsonAs(manifest, text), { value: MANIFEST });
  assert.deepEqual(parseJsonAs(manifest, new TextEncoder().encode(text)), { value: MANIFEST });
  for (const bad of ["", "{", new Uint8Array([0xff])]) {
    assert.match(parseJsonAs(manifest, bad).problem!, /^not JSON: ./);
  }
});

Deno.test("storedAnswer takes only a lower-case SHA-256 for one", () => {
  for (const image_sha256 of ["", "ab", "AB".repeat(32), "ab".repeat(33), `../${"a".repeat(61)}`]) {
    assert.match(
      parseAs(storedAnswer, { ...RESPONSE, image_sha256 }).problem!,
      /^image_sha256: /,
    );
  }
});
