import assert from "node:assert/strict";
import { startS3Double } from "../doubles/s3/server.ts";
import { rejectsWith } from "./store_conformance.ts";
import type { Store } from "../../lib/store/store.ts";
import { probeConditionalWrites } from "./conditional_writes.ts";
import { openS3 } from "../../lib/store/s3.ts";

Deno.test("probeConditionalWrites() tells by trying, and leaves nothing behind", async () => {
  await using server = await startS3Double({ buckets: ["b"] });
  using s3 = openS3({ endpoint: server.url, credentials: server, maxAttempts: 1 });
  const store = s3.bucket("b");
  assert.deepEqual(await probeConditionalWrites(store, "probe"), { create: true, replace: true });

  const deaf: Store = Object.assign(Object.create(store), {
    write: (key: string, bytes: Uint8Array<ArrayBuffer>) => store.write(key, bytes),
    remove: (key: string) => store.remove(key),
  });
  assert.deepEqual(await probeConditionalWrites(deaf, "probe"), { create: false, replace: false });

  server.fault = ({ headers }) =>
    headers.has("if-none-match") ? { status: 501, code: "NotImplemented" } : undefined;
  assert.deepEqual(await probeConditionalWrites(store, "probe"), { create: false, replace: true });
  // A RADOS Gateway 16 refuses the right ETag, as it compares it with its quotes.
  server.fault = ({ headers }) =>
    headers.has("if-match") ? { status: 412, code: "PreconditionFailed" } : undefined;
  assert.deepEqual(await probeConditionalWrites(store, "probe"), { create: true, replace: false });
  assert.equal(server.objects.get("b")!.size, 0);

  server.fault = () => ({ status: 403, code: "AccessDenied" });
  await rejectsWith("denied", "s3://b/probe", probeConditionalWrites(store, "probe"));
});
