import assert from "node:assert/strict";
import { startAwsDouble } from "../doubles/aws/server.ts";
import type { AwsState, DoubleFault } from "../doubles/aws/types.ts";
import { TEST_API_KEY } from "../testing/program.ts";
import { findAwsClient, type SetupFolder, setupFolder } from "./setup.ts";

const CLIENT = findAwsClient();
const BUCKET = "pseudolabel-123456789012-us-east-1";

interface Failure {
  readonly args?: string;
  readonly state?: Partial<AwsState>;
  readonly fault?: readonly [operation: string, fault: DoubleFault];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: string;
  /** Where the client calls, if not at the double. */
  readonly endpoint?: string;
  /** The client is taken away. */
  readonly withoutClient?: boolean;
  /** Changes the folder before the script runs in it. */
  readonly prepare?: (folder: SetupFolder) => Promise<void>;
  /** Nothing may have been changed by then. */
  readonly untouched?: true;
  /** The one line that the script ends with, without its name. */
  readonly says: RegExp;
}

const denied = (action: string): DoubleFault => ({
  status: 403,
  code: "AccessDenied",
  message:
    `User: arn:aws:iam::123456789012:user/somebody is not authorized to perform: ${action} on resource: x`,
});

function buckets(
  name: string,
  settings: Record<string, string>,
  rest: { versions?: string[]; owner?: string } = {},
): Partial<AwsState> {
  const { versions = [], owner } = rest;
  const bucket = { region: "us-east-1", settings: new Map(Object.entries(settings)), owner };
  return { buckets: new Map([[name, { ...bucket, versions: new Set(versions) }]]) };
}

const THEIR_TAGS = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
const NOT_MADE_HERE =
  /bucket \S+ was not made by this script: give --bucket \S+ to use it all the same, or another --bucket$/;
const PUBLIC_ACL = "<AccessControlPolicy><AccessControlList><Grant><Grantee " +
  'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group">' +
  "<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>" +
  "<Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>";

const FAILURES: Readonly<Record<string, Failure>> = {
  "the aws client is missing": {
    withoutClient: true,
    says: /the AWS command line client 'aws' is missing: see https:\/\/aws\.amazon\.com\/cli\/$/,
  },
  "there are no credentials": {
    env: { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined },
    says: /no AWS credentials; run 'aws configure' or 'aws sso login', or set AWS_PROFILE$/,
  },
  "the profile does not exist": {
    env: { AWS_PROFILE: "nobody" },
    says: /no AWS credentials; .*AWS_PROFILE$/,
  },
  "the login has expired": {
    fault: ["sts:GetCallerIdentity", {
      status: 403,
      code: "ExpiredToken",
      message: "The security token included in the request is expired",
    }],
    says: /the AWS login has expired; log in again \('aws sso login'\), then run this again$/,
  },
  "the credentials are wrong": {
    fault: ["sts:GetCallerIdentity", {
      status: 403,
      code: "InvalidClientTokenId",
      message: "The security token included in the request is invalid.",
    }],
    says: /AWS does not accept these credentials in us-east-1; check the login/,
  },
  "the region does not exist": {
    args: "--region us-mars-1",
    endpoint: "http://127.0.0.1:9",
    says: /nothing answers for region us-mars-1; check --region and the network$/,
  },
  "the region is misspelt": {
    args: "--region Virginia",
    says: /--region is not possible: 'Virginia'\. Try --help\.$/,
  },
  "no region is known": {
    args: "",
    says: /no region is known: give --region, for example --region us-east-1$/,
  },
  "the bucket lies in another region": {
    state: {
      buckets: new Map([[BUCKET, {
        region: "eu-west-1",
        settings: new Map(),
        versions: new Set<string>(),
      }]]),
    },
    says: /lies in eu-west-1, not in us-east-1: give --region eu-west-1 or another --bucket$/,
  },
  "the bucket is somebody else's": {
    fault: ["s3:HeadBucket", { status: 403, code: "", message: "" }],
    says: /belongs to another account, or this login may not use it: give another --bucket$/,
  },
  "the bucket is public": {
    args: "--region us-east-1 --bucket website",
    state: {
      buckets: new Map([["website", {
        region: "us-east-1",
        settings: new Map([[
          "policyStatus",
          "<PolicyStatus><IsPublic>true</IsPublic></PolicyStatus>",
        ]]),
        versions: new Set<string>(),
      }]]),
    },
    says: /bucket website is public, and this would close it: give another --bucket$/,
  },
  "a permission is missing": {
    fault: ["s3:CreateBucket", denied("s3:CreateBucket")],
    says: /cannot create bucket \S+: access denied; this login needs s3:CreateBucket$/,
  },
  "there is no key, and none is stored": {
    stdin: "",
    says: /no API key: set UPSTAGE_API_KEY, or give it on standard input$/,
  },
  "the key is two lines": {
    stdin: `${TEST_API_KEY}\nand more`,
    says: /the API key has spaces or special characters: give the key alone, on one line$/,
  },
  "a bucket of the default name has somebody's tags": {
    state: buckets(BUCKET, { tagging: THEIR_TAGS }),
    says: NOT_MADE_HERE,
    untouched: true,
  },
  "a bucket of the default name has no tags, and something in it": {
    state: buckets(BUCKET, {}, { versions: ["theirs"] }),
    says: NOT_MADE_HERE,
    untouched: true,
  },
  "an empty bucket of the default name was given settings": {
    state: buckets(BUCKET, {
      versioning: "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>",
    }),
    says: NOT_MADE_HERE,
    untouched: true,
  },
  "a bucket of the default name was made for another set-up": {
    state: buckets(BUCKET, {
      tagging: THEIR_TAGS.replace("a<", "made-by<").replace("b<", "setup-aws.sh<").replace(
        "</TagSet>",
        "<Tag><Key>project</Key><Value>other</Value></Tag></TagSet>",
      ),
    }),
    says: NOT_MADE_HERE,
    untouched: true,
  },
  "a bucket of the default name lies in another account that lets everybody in": {
    state: buckets(BUCKET, {}, { owner: "999999999999" }),
    says: /belongs to another account, or this login may not use it: give another --bucket$/,
    untouched: true,
  },
  "the bucket is public by its access control list": {
    args: "--region us-east-1 --bucket website",
    state: buckets("website", { acl: PUBLIC_ACL }),
    says: /bucket website is public, and this would close it: give another --bucket$/,
    untouched: true,
  },
  "the stack is somebody else's": {
    state: {
      stacks: new Map([["pseudolabel", {
        status: "CREATE_COMPLETE",
        parameters: { Theirs: "x" },
        template: "",
      }]]),
    },
    says:
      /stack pseudolabel is there already and was not made by this script: give another --name$/,
    untouched: true,
  },
  "the secret is somebody else's": {
    state: {
      secrets: new Map([["pseudolabel/upstage-api-key", {
        value: "theirs",
        deleted: false,
        tags: {},
      }]]),
    },
    says: /secret \S+ was not made by this script: --new-key stores the API key in it all the same/,
    untouched: true,
  },
  "the key has quotes": {
    stdin: `"${TEST_API_KEY}"\n`,
    says: /the API key has quotes: give the key alone, without them$/,
    untouched: true,
  },
  "the key is half of a JSON text": {
    stdin: `{${TEST_API_KEY}\n`,
    says: /the API key begins with a brace: give the key alone$/,
    untouched: true,
  },
  "config.env is a folder": {
    prepare: (folder) => Deno.mkdir(`${folder.path}/config.env`),
    says: /\/config\.env is no file: move it away, the result is written there$/,
    untouched: true,
  },
  "the subnets do not exist": {
    args: "--region us-east-1 --subnets subnet-0a,subnet-9f",
    says: /there are no such subnets in us-east-1: subnet-0a,subnet-9f$/,
  },
};

async function fails(name: string, failure: Failure): Promise<void> {
  await using aws = startAwsDouble({
    ...failure.state,
    faults: new Map(failure.fault ? [failure.fault] : []),
  });
  await using folder = await setupFolder({ url: failure.endpoint ?? aws.url }, CLIENT!);
  await failure.prepare?.(folder);
  if (failure.withoutClient) {
    await Deno.remove(`${folder.path}/bin/aws`);
    for (const tool of ["dirname", "mktemp", "rm"]) {
      await Deno.symlink(`/usr/bin/${tool}`, `${folder.path}/bin/${tool}`);
    }
  }
  const args = (failure.args ?? "--region us-east-1").split(" ").filter(Boolean);
  const env = {
    UPSTAGE_API_KEY: failure.stdin === undefined ? TEST_API_KEY : undefined,
    ...failure.env,
    ...(failure.withoutClient ? { PATH: `${folder.path}/bin` } : {}),
  };
  const { code, stdout, stderr } = await folder.run(args, { env, stdin: failure.stdin });
  assert.notEqual(code, 0, name);
  assert.equal(stdout, "", name);
  const errors = stderr.split("\n").filter((line) => line.startsWith("setup-aws.sh: "));
  assert.equal(errors.length, 1, `${name}: ${stderr}`);
  assert.match(errors[0], failure.says, name);
  assert.ok(stderr.endsWith(`${errors[0]}\n`), `${name}: more after the error`);
  assert.ok(!stderr.includes(TEST_API_KEY), name);
  assert.equal(await folder.config(), undefined, name);
  const changes = aws.calls.filter((call) => !/:(Get|List|Describe|Head)/.test(call));
  if (failure.untouched) assert.deepEqual(changes, [], name);
}

for (const [name, failure] of Object.entries(FAILURES)) {
  Deno.test({
    name: `setup-aws.sh says in one line that ${name}`,
    ignore: CLIENT === undefined,
    fn: () => fails(name, failure),
  });
}
