import assert from "node:assert/strict";
import { errorAnswer } from "../../dev/doubles/ocr/upstage_answer.ts";
import { BUCKET, openBench, readAll, rows } from "../../dev/doubles/stage.ts";
import { runProgram } from "../../dev/testing/program.ts";
import { probePicture } from "../engine/frame_probe.ts";

const WORD = [[36, 30], [200, 30], [200, 60], [36, 60]].map(([x, y]) => ({ x, y }));
const PAGE = {
  ...{ width: 640, height: 400, confidence: 0.9, text: "FRAME" },
  words: [{ text: "FRAME", confidence: 0.9, vertices: WORD }],
};

Deno.test("probe-frame asks for one page once, and export to a bucket knows what it has shown", async () => {
  const size = probePicture().bytes.byteLength;
  let refuse = true;
  await using bench = await openBench(rows(3), ({ bytes }) => {
    if (bytes.byteLength !== size) return readAll({ bytes });
    if (refuse) return errorAnswer(400, "bad", "no \x1b[2J such");
    return { kind: "page", page: PAGE };
  });
  const asked = () => bench.api.requests;
  const probe = () => runProgram(["probe-frame"], { env: bench.env });
  const refused = await probe();
  assert.equal(refused.code, 5, refused.stderr);
  assert.match(refused.stderr, /upstage-ocr gave no answer: .HTTP 400, bad: no /);
  assert.ok(!refused.stderr.includes("\x1b"));
  refuse = false;
  const first = await probe();
  assert.deepEqual([first.code, first.stdout], [0, "upright\n"], first.stderr);
  const before = asked();
  const again = await probe();
  assert.deepEqual([again.code, again.stdout, asked()], [0, "upright\n", before]);

  assert.equal((await bench.run()).code, 0);
  const args = "export --dataset-name demo --format coco --unread --out".split(" ");
  const made = await runProgram([...args, `s3://${BUCKET}/made/coco`], { env: bench.env });
  assert.equal(made.code, 0, made.stderr);
  assert.equal(made.stdout, `s3://${BUCKET}/made/coco/\n`);
  const { bytes } = await bench.store.read("made/coco/export.json");
  const report = JSON.parse(new TextDecoder().decode(bytes));
  assert.deepEqual([report.pages.out, report.options["probed-frame"]], [3, "upright"]);
  const labels = await bench.store.read("made/coco/annotations/train.json");
  assert.equal(JSON.parse(new TextDecoder().decode(labels.bytes)).images.length, 3);
});
