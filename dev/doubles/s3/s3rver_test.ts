import assert from "node:assert/strict";
import { withEnvironment } from "../../testing/environment.ts";
import { CreateBucketCommand, DeleteBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { probeConditionalWrites } from "../../testing/conditional_writes.ts";
import { openS3 } from "../../../lib/store/s3.ts";
import { startS3rver } from "./s3rver.ts";
import { storeConformance } from "../../testing/store_conformance.ts";

Deno.test("openS3() keeps the contract of a store on s3rver", async (t) => {
  await storeConformance(t, async () => {
    const server = await startS3rver();
    const s3 = openS3({ endpoint: server.url, credentials: server.credentials });
    const store = s3.bucket(server.bucket);
    const conditionalWrites = await probeConditionalWrites(store, "probe");
    const ignored = { create: false, replace: false };
    assert.deepEqual(conditionalWrites, ignored, "s3rver 3.7.1 ignores conditions");
    return {
      store,
      conditionalWrites,
      async [Symbol.asyncDispose]() {
        s3[Symbol.dispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  });
});

const endpoint = Deno.env.get("S3_TEST_ENDPOINT");

Deno.test({
  name: "openS3() keeps the contract of a store on the server that S3_TEST_ENDPOINT names",
  ignore: endpoint === undefined,
  // Its credentials come from the environment.
  fn: (t) =>
    withEnvironment(() => ({}), async () => {
      const bucket = `pseudolabel-${crypto.randomUUID()}`;
      const region = Deno.env.get("AWS_REGION") ?? "us-east-1";
      const admin = new S3Client({ endpoint, region, forcePathStyle: true });
      await admin.send(new CreateBucketCommand({ Bucket: bucket }));
      try {
        await storeConformance(t, async () => {
          const s3 = openS3({ endpoint });
          const store = s3.bucket(bucket);
          return {
            store,
            conditionalWrites: await probeConditionalWrites(store, "probe"),
            async [Symbol.asyncDispose]() {
              for await (const { key } of store.list("")) await store.remove(key);
              s3[Symbol.dispose]();
            },
          };
        });
      } finally {
        await admin.send(new DeleteBucketCommand({ Bucket: bucket }));
        admin.destroy();
      }
    }),
});
