import assert from "node:assert/strict";
import { type AwsDouble, startAwsDouble } from "../doubles/aws/server.ts";
import type { AwsState } from "../doubles/aws/types.ts";
import { TEST_API_KEY } from "../testing/program.ts";
import {
  findAwsClient,
  type SetupEnded,
  type SetupFolder,
  setupFolder,
  type SetupOptions,
} from "./setup.ts";

const CLIENT = findAwsClient();
const REGION = "eu-west-1";
const BUCKET = `pseudolabel-123456789012-${REGION}`;
const SECRET = "pseudolabel/upstage-api-key";
const KEY = { env: { UPSTAGE_API_KEY: TEST_API_KEY } };
const READS = /:(Get|List|Describe|Head)/;

interface Bench {
  readonly aws: AwsDouble;
  readonly folder: SetupFolder;
  /** Runs the script for the region; it must show the key nowhere. */
  run(args: string, options?: SetupOptions): Promise<SetupEnded>;
  /** Runs it, which must succeed. */
  succeed(args: string, options?: SetupOptions): Promise<SetupEnded>;
}

/** A test of the script with the real client, left out where there is none. */
function awsTest(name: string, state: Partial<AwsState>, test: (bench: Bench) => Promise<void>) {
  Deno.test({
    name,
    ignore: CLIENT === undefined,
    fn: async () => {
      await using aws = startAwsDouble(state);
      await using folder = await setupFolder(aws, CLIENT!);
      const run = async (args: string, options: SetupOptions = {}) => {
        const ended = await folder.run(["--region", REGION, ...args.split(" ").filter(Boolean)], {
          ...options,
        });
        assert.ok(!(ended.stdout + ended.stderr).includes(TEST_API_KEY), "the key was shown");
        return ended;
      };
      const succeed = async (args: string, options?: SetupOptions) => {
        const ended = await run(args, options);
        assert.equal(ended.code, 0, ended.stderr);
        return ended;
      };
      await test({ aws, folder, run, succeed });
      for await (const { name, isFile } of Deno.readDir(folder.path)) {
        if (!isFile) continue;
        const text = await Deno.readTextFile(`${folder.path}/${name}`);
        assert.ok(!text.includes(TEST_API_KEY), `the key is in ${name}`);
      }
    },
  });
}

function bucket(settings: Record<string, string> = {}, versions: string[] = []) {
  return {
    region: REGION,
    settings: new Map(Object.entries(settings)),
    versions: new Set(versions),
  };
}

const MADE_HERE = {
  tagging:
    "<Tagging><TagSet><Tag><Key>made-by</Key><Value>setup-aws.sh</Value></Tag></TagSet></Tagging>",
};

function complete(state: AwsState): void {
  const settings = state.buckets.get(BUCKET)!.settings;
  assert.match(settings.get("versioning")!, /<Status>Enabled</);
  assert.match(settings.get("encryption")!, /<SSEAlgorithm>AES256</);
  assert.equal(settings.get("publicAccessBlock")!.match(/>true</g)!.length, 4);
  assert.match(settings.get("policy")!, /"aws:SecureTransport": "false"/);
  assert.match(settings.get("lifecycle")!, /<DaysAfterInitiation>7</);
  assert.equal(state.secrets.get(SECRET)!.value, TEST_API_KEY);
  assert.equal(state.secrets.get(SECRET)!.deleted, false);
  assert.match(state.stacks.get("pseudolabel")!.status, /^(CREATE|UPDATE)_COMPLETE$/);
}

awsTest(
  "an empty account becomes a complete one; run again, it stays as it is",
  {},
  async ({ aws, folder, succeed }) => {
    const first = await succeed(
      "--github me/labels --images-bucket img-a --images-bucket img-b --textract",
      KEY,
    );
    complete(aws.state);
    const { parameters } = aws.state.stacks.get("pseudolabel")!;
    assert.deepEqual(parameters, {
      Name: "pseudolabel",
      BucketName: BUCKET,
      SecretArn: `arn:aws:secretsmanager:${REGION}:123456789012:secret:${SECRET}-AbCdEf`,
      VpcId: "vpc-0default",
      SubnetIds: "subnet-0a,subnet-0b",
      ImagesBuckets: "img-a,img-b",
      Textract: "yes",
      GithubRepository: "me/labels",
      GithubRef: "refs/heads/main",
      GithubProvider: "make",
    });
    assert.match(first.stderr, /network: public subnets subnet-0a,subnet-0b of vpc-0default/);
    const config = await folder.config();
    const repository = `123456789012.dkr.ecr.${REGION}.amazonaws.com/pseudolabel`;
    assert.deepEqual(config, {
      AWS_REGION: REGION,
      AWS_ACCOUNT_ID: "123456789012",
      S3_BUCKET: BUCKET,
      ECR_REPOSITORY: repository,
      AWS_SECRET_ARN: parameters.SecretArn,
      JOB_QUEUE: "pseudolabel",
      JOB_DEFINITION: "pseudolabel",
      LOG_GROUP: "/aws/batch/pseudolabel",
      JOB_ROLE_ARN: "arn:aws:iam::123456789012:role/pseudolabel-job",
      EXECUTION_ROLE_ARN: "arn:aws:iam::123456789012:role/pseudolabel-execution",
      DEPLOY_ROLE_ARN: "arn:aws:iam::123456789012:role/pseudolabel-github",
    });
    for (
      const line of [
        `docker push ${repository}:latest`,
        "--parameters dataset_name=my_data",
        "gh variable set --env-file config.env --repo ",
      ]
    ) assert.ok(first.stdout.includes(line), line);
    assert.doesNotMatch(JSON.stringify(aws.state.revisions[0].request), /\$\{/);

    // Somebody deployed in the meantime: that image stays.
    await succeed(`--register --image ${repository}@sha256:abc123`);
    const calls = aws.calls.length;
    const again = await succeed("");
    assert.match(again.stderr, /the API key stays as it is/);
    assert.deepEqual(aws.state.stacks.get("pseudolabel")!.parameters, parameters);
    assert.deepEqual(aws.state.revisions.length, 2);
    assert.match(again.stdout, /job-definition\/pseudolabel:2$/m);
    assert.ok(again.stdout.includes(`--register --image ${repository}:latest`));
    assert.deepEqual(await folder.config(), config);
    // Settings are put again; nothing is created, stored, registered or deployed.
    assert.deepEqual(
      aws.calls.slice(calls).filter((call) => !READS.test(call) && !/^s3:Put/.test(call)),
      ["cloudformation:CreateChangeSet"],
    );
    assert.ok(!aws.calls.slice(calls).includes("s3:PutBucketTagging"));
    complete(aws.state);
  },
);

awsTest(
  "--dry-run says what would be made and changes nothing, with and without a stack",
  {},
  async ({ aws, folder, run, succeed }) => {
    const both = await run("--textract --no-textract");
    assert.equal(both.code, 2);
    assert.match(both.stderr, /--textract and --no-textract: one of them/);
    const { stderr } = await succeed("--dry-run --no-textract");
    assert.match(stderr, /would create stack pseudolabel .*Textract=no/);
    assert.match(stderr, new RegExp(`would create bucket ${BUCKET}`));
    assert.match(stderr, /would create secret/);
    assert.match(stderr, /would create stack pseudolabel .*SubnetIds=subnet-0a,subnet-0b/);
    aws.state.stacks.set("pseudolabel", {
      status: "ROLLBACK_COMPLETE",
      parameters: { BucketName: BUCKET },
      template: "",
    });
    assert.match((await succeed("--dry-run --destroy")).stderr, /would remove stack pseudolabel/);
    assert.deepEqual(aws.calls.filter((call) => !READS.test(call)), []);
    assert.equal(await folder.config(), undefined);
  },
);

awsTest(
  "a run that broke off is completed by the next: a bare bucket, a secret without a key, a stack rolled back",
  {
    buckets: new Map([[BUCKET, bucket()]]),
    secrets: new Map([[SECRET, { value: undefined, deleted: false }]]),
    providers: ["arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"],
    vpcs: new Map(),
    deployFailure: "not authorized to perform: ecr:CreateRepository",
  },
  async ({ aws, folder, run, succeed }) => {
    const broken = await run("--github me/labels --textract", { stdin: "" });
    assert.equal(broken.code, 1);
    assert.match(
      broken.stderr,
      /no API key is given: jobs can ask Textract alone, until --new-key/,
    );
    assert.equal(aws.state.secrets.get(SECRET)!.value, "none");
    assert.match(
      broken.stderr,
      /^setup-aws.sh: cannot deploy stack pseudolabel: Repository: not authorized to perform: ecr:CreateRepository\n$/m,
    );
    assert.equal(await folder.config(), undefined);

    const stack = aws.state.stacks.get("pseudolabel")!;
    assert.equal(stack.status, "ROLLBACK_COMPLETE");
    stack.status = "ROLLBACK_IN_PROGRESS";
    stack.next = { looks: 2, status: "ROLLBACK_COMPLETE" };
    aws.state.deployFailure = undefined;
    const { stderr } = await succeed("--github me/labels --new-key", {
      stdin: `${TEST_API_KEY}\n`,
    });
    complete(aws.state);
    assert.match(aws.state.buckets.get(BUCKET)!.settings.get("tagging")!, /setup-aws\.sh/);
    assert.match(stderr, /stack pseudolabel is ROLLBACK_IN_PROGRESS: waiting/);
    assert.match(stderr, /remove stack pseudolabel, which an earlier run left ROLLBACK_COMPLETE/);
    assert.match(stderr, /no default VPC in eu-west-1, so a small one is made/);
    const { parameters } = aws.state.stacks.get("pseudolabel")!;
    assert.equal(parameters.GithubProvider, "existing");
    assert.ok(!("VpcId" in parameters));
  },
);

awsTest(
  "a deleted secret is restored, a rollback that failed is finished, somebody's bucket keeps its own rules",
  {
    buckets: new Map([["theirs", {
      ...bucket({
        tagging: "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
        policy: '{"Statement":[{"Sid":"Theirs"}]}',
        policyStatus: "<PolicyStatus><IsPublic>false</IsPublic></PolicyStatus>",
        lifecycle:
          "<LifecycleConfiguration><Rule><ID>theirs</ID><Status>Enabled</Status></Rule></LifecycleConfiguration>",
      }),
    }]]),
    secrets: new Map([[SECRET, { value: TEST_API_KEY, deleted: true }]]),
    stacks: new Map([["pseudolabel", {
      status: "UPDATE_ROLLBACK_FAILED",
      parameters: { BucketName: "theirs", VpcId: "vpc-1" },
      template: "old",
    }]]),
  },
  async ({ aws, succeed }) => {
    const before = new Map(aws.state.buckets.get("theirs")!.settings);
    const { stderr } = await succeed("--max-vcpus 8");
    const { settings } = aws.state.buckets.get("theirs")!;
    for (const part of ["tagging", "policy", "lifecycle"]) {
      assert.equal(settings.get(part), before.get(part), part);
    }
    assert.equal(stderr.match(/^note: bucket theirs has .* of its own, left alone/gm)!.length, 2);
    assert.match(settings.get("versioning")!, /Enabled/);
    assert.deepEqual(aws.state.secrets.get(SECRET), { value: TEST_API_KEY, deleted: false });
    const stack = aws.state.stacks.get("pseudolabel")!;
    assert.equal(stack.status, "UPDATE_COMPLETE");
    assert.equal(stack.parameters.MaxVcpus, "8");
    assert.equal(stack.parameters.VpcId, "vpc-1");
  },
);

awsTest(
  "--destroy asks, leaves a bucket with data, and another time takes it with --delete-data",
  {
    buckets: new Map([[BUCKET, bucket(MADE_HERE, ["data/a & b", "rates/x"])]]),
    secrets: new Map([[SECRET, { value: TEST_API_KEY, deleted: false }]]),
    stacks: new Map([["pseudolabel", {
      status: "CREATE_COMPLETE",
      parameters: { BucketName: BUCKET },
      template: "",
    }]]),
    revisions: [1, 2].map((revision) => ({
      request: { jobDefinitionName: "pseudolabel" },
      arn: `arn:${revision}`,
      revision,
      active: true,
    })),
  },
  async ({ aws, folder, run, succeed }) => {
    await Deno.writeTextFile(`${folder.path}/config.env`, "AWS_REGION=x\n");
    const refused = await run("--destroy", { stdin: "yes\n" });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /nothing was removed: 'pseudolabel' was not typed/);
    assert.deepEqual(aws.calls.filter((call) => !READS.test(call)), []);

    const first = await succeed("--destroy", { stdin: "pseudolabel\n" });
    assert.match(first.stderr, /It leaves bucket \S+, which is not empty/);
    assert.deepEqual(aws.state.revisions.map(({ active }) => active), [false, false]);
    assert.equal(aws.state.stacks.size, 0);
    assert.equal(aws.state.secrets.get(SECRET)!.deleted, true);
    assert.equal(aws.state.buckets.get(BUCKET)!.versions.size, 2);
    assert.equal(await folder.config(), undefined);

    const careless = await run("--destroy --delete-data", { stdin: "pseudolabel\n" });
    assert.match(careless.stderr, /nothing was removed/);
    await succeed("--destroy --delete-data", { stdin: `${BUCKET}\n` });
    assert.equal(aws.state.buckets.size, 0);
  },
);

awsTest(
  "--destroy never removes a bucket that was not made here, nor trips over an empty account",
  { buckets: new Map([["theirs", bucket()]]) },
  async ({ aws, succeed }) => {
    const { stderr } = await succeed("--destroy --delete-data --bucket theirs", {
      stdin: "pseudolabel\n",
    });
    assert.match(stderr, /It leaves bucket theirs, which was not made by this script/);
    assert.deepEqual(aws.calls.filter((call) => !READS.test(call)), []);
    assert.ok(aws.state.buckets.has("theirs"));
  },
);

awsTest(
  "--register needs nothing but the environment, prints the ARN alone, and names what is missing",
  {},
  async ({ aws, run, succeed }) => {
    const env = {
      S3_BUCKET: "b",
      AWS_SECRET_ARN: "arn:secret",
      JOB_DEFINITION: "pseudolabel",
      LOG_GROUP: "/aws/batch/pseudolabel",
      JOB_ROLE_ARN: "arn:job",
      EXECUTION_ROLE_ARN: "arn:execution",
    };
    const arn = `arn:aws:batch:${REGION}:123456789012:job-definition/pseudolabel:1\n`;
    for (let time = 0; time < 2; time++) {
      const { stdout } = await succeed("--register --image r/pseudolabel:1", { env });
      assert.equal(stdout, arn);
    }
    assert.equal(aws.state.revisions.length, 1);
    const missing = await run("--register", { env: { ...env, JOB_DEFINITION: undefined } });
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /^setup-aws.sh: \w+ is not set: run .*\n$/);
  },
);
