import assert from "node:assert/strict";
import { startS3Double } from "../../dev/doubles/s3/server.ts";
import { putLabelled } from "../../dev/testing/labelled.ts";
import { runProgram } from "../../dev/testing/program.ts";
import { openS3 } from "../store/s3.ts";

const encode = (text: string) => new TextEncoder().encode(text);

Deno.test("in buckets, evaluate's filter, a dictionary and a truth are found by key and by address", async () => {
  await using s3 = await startS3Double({ buckets: ["labels", "others"] });
  const { accessKeyId, secretAccessKey, url } = s3;
  await using service = openS3({ endpoint: url, credentials: { accessKeyId, secretAccessKey } });
  const [labels, others] = [service.bucket("labels"), service.bucket("others")];
  const words = ["합계", "wr0ng", "총 액"].map((text, at) => ({
    text,
    confidence: at === 1 ? 0.3 : 0.9,
    box: [10, 10 + 50 * at, 60, 20] as const,
  }));
  const pages = Array.from({ length: 60 }, (_, at) => ({ id: `page/${at}`, words }));
  await putLabelled(labels, "demo", pages);
  for (const [at] of pages.entries()) {
    const boxes = words.map(({ text, box: [x, y, w, h] }) =>
      [x, y, x + w, y, x + w, y + h, x, y + h, text === "wr0ng" ? "wrong" : text].join(",")
    );
    await others.write(`truth of mine/${at}.txt`, encode(boxes.join("\n")));
  }
  await others.write("to filter/by.json", encode('{"min_page_confidence": 0.99}'));
  await others.write("dict.txt", encode("\ufeff합\r\n계\r\n"));
  const env = {
    S3_BUCKET: "labels",
    AWS_ENDPOINT_URL_S3: url,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_REGION: "us-east-1",
  };
  const run = (command: string, ...args: string[]) =>
    runProgram([command, "--dataset-name", "demo", ...args], { env });

  const found = await run(
    "evaluate",
    "--truth",
    "s3://others/truth of mine/",
    ..."--target-error 0.05 --granularity word".split(" "),
  );
  assert.equal(found.code, 0, found.stderr);
  const jsonl = ["--format", "jsonl", "--out", "-", "--unread"];
  const exported = async (...args: string[]) => {
    const { code, stdout, stderr } = await run("export", ...jsonl, ...args);
    assert.equal(code, 0, stderr);
    const read = stdout.trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
    return read.map(({ words }) =>
      words.map(({ text, ignore }: { text: string; ignore?: boolean }) => ignore ? "" : text)
    );
  };
  const kept = pages.map(() => ["합계", "", "총 액"]);
  assert.deepEqual(await exported("--filter", "reports/demo/filter.json"), kept);
  assert.deepEqual(await exported("--filter", "s3://labels/reports/demo/filter.json"), kept);
  assert.deepEqual(await exported("--filter", "s3://others/to filter/by.json"), []);
  assert.deepEqual(
    await exported("--charset", "s3://others/dict.txt"),
    pages.map(() => ["합계", "", ""]),
  );
  for (
    const [place, said] of [
      ["s3://others/none.txt", /--charset can't be read: .*s3:\/\/others\/none\.txt/],
      ["s3://nowhere/dict.txt", /--charset can't be read: .*nowhere/],
      [
        "s3://others/to filter/by.json",
        /is no dictionary of one character a line: line 1 has more/,
      ],
    ] as const
  ) {
    const { code, stderr, stdout } = await run("export", ...jsonl, "--charset", place);
    assert.equal(code, 2, stderr);
    assert.match(stderr, said);
    assert.equal(stdout, "");
  }
});
