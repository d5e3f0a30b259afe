import assert from "node:assert/strict";
import { runChild } from "../../dev/bench/child.ts";
import { ARGS, openBench, OUTPUT, rows } from "../../dev/doubles/stage.ts";
import { queryParquet, queryRows } from "../../dev/testing/fixtures.ts";
import { programCommand } from "../../dev/testing/program.ts";

const ROWS = 800;
/** The program takes 230 to 270 MB; where it holds such pages or a dictionary whole, 450 to 490. */
const MOST = 400e6;
/** A text of 100 KB a time, unlike that of any other row; it packs well, for the test's sake. */
const text = (times: number) => `repeat(md5(i::VARCHAR), ${3_125 * times})`;

for (
  const [what, metadata, options] of [
    ["in pages of 80 MB", `{'a': ${text(1)}, 'b': ${text(1)}, 'c': ${text(1)}}`, ""],
    [
      "in a dictionary",
      text(3),
      "DICTIONARY_SIZE_LIMIT 1000000, STRING_DICTIONARY_PAGE_SIZE_LIMIT 1000000000, ",
    ],
  ]
) {
  Deno.test(`240 MB of metadata in one row group, ${what}, are labelled in a task of 512 MB`, async () => {
    const image_path = "s3://bench/images/one.png"; // each row is read and written all the same
    await using bench = await openBench([{ ...rows(1)[0], image_path }]);
    const input = await queryParquet(
      `SELECT 'row-' || i AS id, '${image_path}' AS image_path, ${metadata} AS metadata ` +
        `FROM range(${ROWS}) t(i)`,
      `${options}ROW_GROUP_SIZE 100000`,
    );
    await bench.store.write("data/processed/demo.parquet", input);
    const args = [...ARGS, "--batch-size", `${ROWS}`, "--lease-seconds", "600"];
    const ran = await runChild({ ...programCommand(args), env: bench.env });
    assert.equal(ran.code, 0, ran.stderr.slice(-2_000));
    assert.ok(ran.peakBytes > 0 && ran.peakBytes < MOST, `${ran.peakBytes} bytes at the peak`);
    const [{ n, least }] = await queryRows(
      (await bench.store.read(OUTPUT)).bytes,
      "SELECT count(*) AS n, min(length(metadata.input_metadata)) AS least FROM parquet_file",
    );
    assert.deepEqual([Number(n), Number(least) >= 300_000], [ROWS, true]);
  });
}
