import assert from "node:assert/strict";
import fc from "fast-check";
import { explain, RunError } from "./errors.ts";
import {
  escaped,
  jsonLine,
  mayBeKey,
  oneLine,
  printable,
  quoted,
  secretName,
  shown,
  withoutSignatures,
} from "./text.ts";

const FORGED = 'row-1\n{"event":"end","exit":0}\r\x1b[2J\x9b2J\u202e\u2028';
// deno-lint-ignore no-control-regex
const RAW = /[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/;

Deno.test("quoted() keeps outside texts on one line and shows what is in them", () => {
  assert.equal(
    quoted(FORGED),
    `'row-1\\n{"event":"end","exit":0}\\r\\x1b[2J\\x9b2J\\u202e\\u2028'`,
  );
  assert.equal(quoted("한글 é 👍🏽 a  b"), "'한글 é 👍🏽 a  b'");
});

Deno.test("oneLine(), escaped() and jsonLine() let no order through, whatever the text", () => {
  const hostile = fc.string({ unit: "binary", maxLength: 300 });
  fc.assert(fc.property(hostile, fc.integer({ min: 2, max: 300 }), (text, max) => {
    for (const line of [oneLine(text, max), escaped(text, max), jsonLine({ text })]) {
      assert.doesNotMatch(line, RAW);
    }
    assert.ok(oneLine(text, max).length <= max);
    assert.deepEqual(JSON.parse(jsonLine({ text })), { text });
  }));
});

Deno.test("what is too long is cut at a character, and shows it", () => {
  assert.equal(oneLine("9".repeat(100_000)), `${"9".repeat(199)}…`);
  assert.equal(escaped("👍👍👍", 4), "👍…");
  assert.equal(escaped("👍👍👍", 5), "👍👍…");
});

Deno.test("printable() keeps a message's lines, but none begins like a line of the log", () => {
  assert.equal(printable("one.\nTwo.\n"), "one.\n  Two.");
  const message = printable(`Cannot read ${FORGED}\n{"event":"end"}`);
  assert.ok(message.split("\n").slice(1).every((line) => line.startsWith("  ")), message);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(message, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]/);
  assert.ok(printable("x".repeat(1e6)).length <= 4_000);
});

Deno.test("a signed URL loses its signature", () => {
  const url = "https://b.s3.amazonaws.com/k.png?X-Amz-Credential=AKIA%2F1&X-Amz-Date=1" +
    "&X-Amz-Signature=0123abcd&X-Amz-Security-Token=t0";
  const safe = "https://b.s3.amazonaws.com/k.png?X-Amz-Credential=…&X-Amz-Date=1" +
    "&X-Amz-Signature=…&X-Amz-Security-Token=…";
  for (const text of [oneLine(url), escaped(url), printable(url)]) assert.equal(text, safe);
});

Deno.test("mayBeKey() knows keys, and lets the names of things pass", () => {
  const keys = [
    "xy_0123456789abcdefghij0123",
    "xy_key_that_must_not_leak_0123456789",
    "sk-proj-abcDEF0123456789abcdef",
    "Bearer xy_0123456789abcdefghij0123",
    '{"api_key": "xy_0123456789abcdefghij0123"}',
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "q8Zr0TtWvX1yB2nC4mD6kF",
    "keykeyxy_0123456789abcdefghij0123",
    "--datasetnamexy_0123456789abcdefghij0123",
    "1xy_0123456789abcdefghij0123",
    "KEYAKIAIOSFODNN7EXAMPLE",
  ];
  const names = [
    "",
    "my-bucket",
    "baseline_train",
    "data/processed/receipts_2026-11_part00.parquet",
    "s3://my-bucket/images/2026/11/IMG_20261126_101500.jpg",
    "ocr-260930",
    "team/ocr-key",
    "9".repeat(400),
    "1.5",
    "--datset-name",
    "labels-for-the-training-of-a-text-detector",
    "backup_d41d8cd98f00b204e9800998ecf8427e",
    "receipts_20261126t101500123456z",
    "2026-11-26T10-15-00_the_longest_of_all_data_sets_of_2026",
  ];
  for (const key of keys) assert.ok(mayBeKey(key), key);
  for (const name of names) assert.ok(!mayBeKey(name), name);
  for (const key of keys) assert.equal(shown(key), "'[looks like a key: not repeated]'");
  assert.equal(shown("my bucket"), "'my bucket'");
  const arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:ocr-key-AbCdEf";
  assert.equal(secretName(arn), arn);
  assert.equal(secretName("team/ocr-key"), "team/ocr-key");
  assert.doesNotMatch(secretName("xy_0123456789abcdefghij0123"), /0123/);
});

Deno.test("withoutSignatures() takes what makes a presigned URL work, and nothing else", () => {
  const s3 = "https://b.s3.amazonaws.com/k.png?X-Amz-Algorithm=A&X-Amz-Credential=AKIA%2Fus" +
    "&X-Amz-Date=20261126T0Z&X-Amz-Security-Token=tok&X-Amz-Signature=deadbeef";
  assert.equal(
    withoutSignatures(`it is '${s3}'`),
    "it is 'https://b.s3.amazonaws.com/k.png?X-Amz-Algorithm=A&X-Amz-Credential=…" +
      "&X-Amz-Date=20261126T0Z&X-Amz-Security-Token=…&X-Amz-Signature=…'",
  );
  assert.equal(withoutSignatures("https://a/c?sp=r&sig=x%3D&se=1"), "https://a/c?sp=r&sig=…&se=1");
  assert.equal(withoutSignatures("s3://b/a sig=1?b"), "s3://b/a sig=1?b");
});

Deno.test("explain() shows no signature", () => {
  assert.deepEqual(explain(new RunError("input", "it is 'https://a/b?Signature=abc'")), [
    "input",
    "it is 'https://a/b?Signature=…'",
  ]);
});
