import assert from "node:assert/strict";
import { startAwsDouble } from "../doubles/aws/server.ts";
import { findAwsClient, setupFolder } from "./setup.ts";

const CLIENT = findAwsClient();
const REGION = "us-east-1";
const BUCKET = `pseudolabel-123456789012-${REGION}`;
const SECRET = "pseudolabel/upstage-api-key";

Deno.test({
  name:
    "setup-aws.sh uses somebody's bucket and secret as they are when told to, and removes neither",
  ignore: CLIENT === undefined,
  fn: async () => {
    const settings = {
      tagging: "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
      encryption: "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>" +
        "<SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>" +
        "</ServerSideEncryptionConfiguration>",
    };
    await using aws = startAwsDouble({
      buckets: new Map([[BUCKET, {
        region: REGION,
        settings: new Map(Object.entries(settings)),
        versions: new Set(["theirs"]),
      }]]),
      secrets: new Map([[SECRET, { value: "theirs", deleted: false, tags: {} }]]),
    });
    await using folder = await setupFolder(aws, CLIENT!);
    const run = async (args: string, stdin = "") => {
      const ended = await folder.run(["--region", REGION, ...args.split(" ").filter(Boolean)], {
        stdin,
      });
      assert.equal(ended.code, 0, ended.stderr);
      return ended.stderr;
    };
    const isAsItWas = () => {
      const bucket = aws.state.buckets.get(BUCKET)!;
      for (const [part, value] of Object.entries(settings)) {
        assert.equal(bucket.settings.get(part), value, part);
      }
      assert.deepEqual([...bucket.versions], ["theirs"]);
      assert.deepEqual(aws.state.secrets.get(SECRET), {
        value: "theirs",
        deleted: false,
        tags: {},
      });
    };
    await run(`--bucket ${BUCKET}`);
    isAsItWas();
    assert.match(aws.state.buckets.get(BUCKET)!.settings.get("publicAccessBlock")!, />true</);
    await run(""); // what it was told the first time holds
    isAsItWas();
    const said = await run("--destroy --delete-data", "pseudolabel\n");
    assert.match(said, /It leaves bucket \S+, which was not made by this script\./);
    assert.match(said, /It leaves secret \S+, which was not made by this script\./);
    assert.doesNotMatch(said, /^ {2}secret/m);
    isAsItWas();
    assert.equal(aws.state.stacks.size, 0);
  },
});

Deno.test({
  name: "setup-aws.sh leaves a key of their own on a bucket that was made here, and closes it",
  ignore: CLIENT === undefined,
  fn: async () => {
    const encryption =
      "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>" +
      "<SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>" +
      "</ServerSideEncryptionConfiguration>";
    await using aws = startAwsDouble({
      buckets: new Map([[BUCKET, {
        region: REGION,
        settings: new Map([
          [
            "tagging",
            "<Tagging><TagSet><Tag><Key>made-by</Key><Value>setup-aws.sh</Value></Tag>" +
            "<Tag><Key>project</Key><Value>pseudolabel</Value></Tag></TagSet></Tagging>",
          ],
          ["encryption", encryption],
        ]),
        versions: new Set(["data"]),
      }]]),
      secrets: new Map([[SECRET, { value: "kept", deleted: false }]]),
    });
    await using folder = await setupFolder(aws, CLIENT!);
    const { code, stderr } = await folder.run(["--region", REGION]);
    assert.equal(code, 0, stderr);
    const { settings } = aws.state.buckets.get(BUCKET)!;
    assert.equal(settings.get("encryption"), encryption);
    assert.match(settings.get("publicAccessBlock")!, />true</);
  },
});
