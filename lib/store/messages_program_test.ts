import assert from "node:assert/strict";
import { message, openBench, rows } from "../../dev/doubles/stage.ts";
import { encodeInput } from "../../dev/testing/fixtures.ts";
import { rejectsWith } from "../../dev/testing/store_conformance.ts";
import { openFolder } from "./folder.ts";

const BYTES = new TextEncoder().encode("x");

Deno.test("a full disk, a used-up quota and a read-only disk say what to do, and are not waited for", async () => {
  const path = await Deno.makeTempDir();
  const { rename } = Deno;
  try {
    for (
      const [code, kind, says] of [
        ["ENOSPC", "refused", /the disk is full, make room and run the same command again/],
        ["EDQUOT", "refused", /quota is used up/],
        ["EROFS", "denied", /the disk is read-only, make it writable/],
        ["EACCES", "denied", /change the permissions/],
      ] as const
    ) {
      // Where a file is put in place, the system says no.
      Deno.rename = () => Promise.reject(Object.assign(new Error(`os error ${code}`), { code }));
      const store = openFolder(path);
      const error = await rejectsWith(kind, `${store.url}/x`, store.write("x", BYTES));
      assert.match(error.message, says);
      Deno.rename = rename;
      assert.equal(await store.stat("x"), undefined);
    }
  } finally {
    Deno.rename = rename;
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("a presigned URL is not shown with its signature", async () => {
  const url = "https://b.s3.amazonaws.com/k.png?X-Amz-Credential=AKIAX&X-Amz-Signature=deadbeef";
  await using bench = await openBench(rows(1));
  const key = await bench.run(["--input-s3-key", url]);
  assert.equal(key.code, 2, key.stderr);
  await using other = await openBench(rows(2));
  const [row] = rows(1);
  const input = await encodeInput([{ ...row, image_path: url }]);
  await other.store.write("data/processed/demo.parquet", input);
  const path = await other.run();
  assert.equal(path.code, 3, path.stderr);
  for (const ended of [key, path]) {
    assert.match(message(ended), /https:\/\/b\.s3\.amazonaws\.com\/k\.png\?X-Amz-Credential=…/);
    assert.ok(!/deadbeef|AKIAX/.test(ended.stderr + ended.stdout), ended.stderr);
  }
});
