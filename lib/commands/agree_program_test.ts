import assert from "node:assert/strict";
import { encodeInput, fakeImage, queryRows, readFake } from "../../dev/testing/fixtures.ts";
import { runProgram } from "../../dev/testing/program.ts";
import type { ReadPage } from "../../dev/testing/read_page.ts";
import { message, openBench, OUTPUT, rows } from "../../dev/doubles/stage.ts";
import { parseJsonAs } from "../base/json.ts";
import { agreementDocument, evaluationDocument } from "../state/documents.ts";
import { agreementKey } from "../state/keys.ts";

const ROWS = 12;
const AGREEMENT = agreementKey(OUTPUT);
const PAIR = "upstage-ocr,upstage-ocr:ocr-260930";

/** The other model reads the last word of each page otherwise, and sees one more. */
function readOtherwise({ words, ...page }: ReadPage): ReadPage {
  const vertices = [[250, 80], [290, 80], [290, 95], [250, 95]].map(([x, y]) => ({ x, y }));
  return {
    ...page,
    words: [
      ...words.map((word, i) =>
        i === words.length - 1 ? { ...word, text: word.text.replace("-", "_") } : word
      ),
      { text: "more", confidence: 0.7, vertices },
    ],
  };
}

Deno.test("agree holds two models against each other, and export, gallery and evaluate go by it", async () => {
  await using bench = await openBench(rows(ROWS), (document) => {
    const { bytes, model } = document as typeof document & { model: string };
    const page = readFake(bytes);
    return { kind: "page", page: model === "ocr" ? page : readOtherwise(page) };
  });
  const { env } = bench;
  const program = async (line: string) =>
    await runProgram([...line.split(" "), "--dataset-name", "demo"], { env });
  const json = async (key: string) => new TextDecoder().decode((await bench.store.read(key)).bytes);

  // Each step says which is the next one.
  const early = await program("agree");
  assert.equal(early.code, 7);
  assert.match(message(early), /label the data set to its end first \(run --dataset-name demo\)/);
  assert.equal((await bench.run()).code, 0);
  const alone = await program("agree");
  assert.equal(alone.code, 2);
  assert.match(
    message(alone),
    /run --dataset-name demo_OTHER --input-s3-key data\/processed\/demo.parquet --engine OTHER/,
  );
  const unread = await program(`agree --engines ${PAIR}`);
  assert.equal(unread.code, 7, unread.stderr);
  const advised = /label the pages with it first \((run [^)]*)\)/.exec(message(unread))![1];
  assert.equal(
    advised,
    "run --dataset-name demo_ocr-260930 --input-s3-key data/processed/demo.parquet " +
      "--engine upstage-ocr --model ocr-260930",
  );
  for (
    const command of ["export --format csv --out - --min-agreement 0.5", "gallery --disagreeing"]
  ) {
    const refused = await program(command);
    assert.equal(refused.code, 7, refused.stderr);
    assert.match(message(refused), /no engines have been compared on .*: do that first \(agree /);
  }

  // Some pages by the advised command, then all.
  const some = await runProgram([...advised.split(" "), "--max-pages", "3"], { env });
  assert.equal(some.code, 8, some.stderr);
  const partly = await program(`agree --engines ${PAIR} --json`);
  assert.equal(partly.code, 0, partly.stderr);
  const first = parseJsonAs(agreementDocument, partly.stdout).value!;
  assert.deepEqual([first.pages.compared, first.b.missing], [3, 9]);
  assert.match(partly.stderr, /9 of 12 pages have no stored answer of upstage-ocr:ocr-260930/);
  assert.ok(partly.stderr.includes(`\n  ${advised}\n`), partly.stderr);
  const labelled = await runProgram(advised.split(" "), { env });
  assert.equal(labelled.code, 0, labelled.stderr);
  const asked = bench.api.requests;
  assert.deepEqual([asked, bench.api.billedPages], [2 * ROWS, 2 * ROWS]);

  const compared = await program(`agree --engines ${PAIR}`);
  assert.equal(compared.code, 0, compared.stderr);
  assert.ok(compared.stdout.split("\n").every((line) => line.length <= 80 || /^s3:/.test(line)));
  const { bytes, etag } = await bench.store.read(AGREEMENT);
  const document = parseJsonAs(agreementDocument, await json("reports/demo/agreement.json")).value!;
  assert.deepEqual([document.pages.compared, document.b.missing], [ROWS, 0]);
  assert.equal(document.rows.etag, etag);
  const texts = Array.from({ length: ROWS }, (_, i) => i);
  const beside = await queryRows(
    bytes,
    "SELECT id, agreement, word_agreements AS words, other_texts AS others, only_other " +
      "FROM parquet_file",
  );
  const own = await queryRows(
    (await bench.store.read(OUTPUT)).bytes,
    "SELECT id, texts FROM parquet_file",
  );
  let words = 0;
  for (const i of texts) {
    const mine = own[i].texts as string[];
    assert.equal(beside[i].id, own[i].id);
    assert.deepEqual(
      beside[i].others,
      mine.map((text, n) => n === mine.length - 1 ? text.replace("-", "_") : text),
    );
    assert.deepEqual(
      (beside[i].words as number[]).map((each) => each === 1),
      mine.map((_, n) => n < mine.length - 1),
    );
    assert.equal(Number(beside[i].only_other), 1);
    words += mine.length;
  }
  const misread = own.filter(({ texts }) => (texts as string[]).length > 0).length;
  assert.deepEqual(document.confusions, [{ a: "-", b: "_", count: misread }]);

  // Again, by the other data set's name: the same bytes.
  const again = await program("agree --with demo_ocr-260930");
  assert.equal(again.code, 0, again.stderr);
  assert.deepEqual((await bench.store.read(AGREEMENT)).bytes, bytes);

  const exported = await program("export --format coco --unread --min-agreement 1");
  assert.equal(exported.code, 0, exported.stderr);
  assert.match(exported.stderr, new RegExp(`^ +ignored +${misread} +low_agreement$`, "m"));
  const report = JSON.parse(await json("exports/demo/coco/export.json"));
  assert.deepEqual(report.words, {
    ...{ in: words, out: words - misread, dropped: {} },
    ignored: { low_agreement: misread },
  });
  assert.equal(report.options["agreed-engines"], "upstage-ocr:ocr,upstage-ocr:ocr-260930");

  const gallery = await program("gallery --disagreeing --out -");
  assert.equal(gallery.code, 0, gallery.stderr);
  const data = /id="data">(.*?)<\/script>/s.exec(gallery.stdout)![1];
  const { list, pages } = JSON.parse(data);
  assert.match(list.order, /^where upstage-ocr:ocr and upstage-ocr:ocr-260930 agree least first$/);
  const order = list.pages.map(({ row }: { row: number }) => beside[row].agreement);
  assert.deepEqual(order, order.toSorted((a: number, b: number) => a - b));
  assert.ok(
    pages.every((page: { agreement: { onlyOther: number } }) => page.agreement.onlyOther === 1),
  );

  // The truth is what the other model reads.
  await bench.store.write(
    "truth.json",
    new TextEncoder().encode(JSON.stringify(Object.fromEntries(
      texts.map((i) => {
        const { width, height, words } = readOtherwise(readFakeOf(i));
        const boxes = words.map(({ text, vertices }) => ({
          text,
          polygon: vertices.map(({ x, y }) => [x, y]),
        }));
        return [`${i}.png`, { width, height, words: boxes }];
      }),
    ))),
  );
  const evaluated = await program("evaluate --truth truth.json");
  assert.equal(evaluated.code, 0, evaluated.stderr);
  assert.match(
    evaluated.stdout.replace(/\s+/g, " "),
    /agreement AUROC 1\.000, average precision 1\.000/,
  );
  const { ranking } = parseJsonAs(evaluationDocument, await json("reports/demo/evaluation.json"))
    .value!;
  assert.deepEqual([ranking!.words, ranking!.wrong], [words, misread]);
  assert.ok(ranking!.confidence!.auroc! < 1);

  // Nothing of all that has asked the API.
  assert.equal(bench.api.requests, asked);

  // Another output: what was compared is not used any more, and not without a word.
  const remade = rows(ROWS).slice(0, -1);
  await bench.store.write("data/processed/demo.parquet", await encodeInput(remade));
  assert.equal((await bench.run()).code, 0);
  const stale =
    /belongs to another version of .*: compare anew \(agree --dataset-name demo --engines upstage-ocr:ocr,upstage-ocr:ocr-260930\)/;
  for (
    const command of ["export --format csv --out - --min-agreement 0.5", "gallery --disagreeing"]
  ) {
    const refused = await program(command);
    assert.equal(refused.code, 7, refused.stderr);
    assert.match(message(refused), stale);
  }
  const without = await program("evaluate --truth truth.json --json");
  assert.equal(without.code, 0, without.stderr);
  assert.match(without.stderr, stale);
  assert.equal(JSON.parse(without.stdout).ranking.agreement, null);
  const plain = await program("gallery --out -");
  assert.equal(plain.code, 0, plain.stderr);
  assert.match(plain.stderr, stale);
  assert.equal((await program(`agree --engines ${PAIR}`)).code, 0);
  assert.equal((await program("export --format csv --out - --unread --min-agreement 0.5")).code, 0);
});

/** What the API of the test reads on the image of a row. */
function readFakeOf(index: number): ReadPage {
  return readFake(fakeImage(`row-${index}`));
}
