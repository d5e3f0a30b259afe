import assert from "node:assert/strict";
import fc from "fast-check";
import { settingsOf as settings } from "../../dev/testing/settings.ts";
import { RunError } from "../base/errors.ts";
import { firstWord } from "./option_values.ts";
import { OPTIONS, type OptionSpec } from "./options.ts";
import type { Environment, Settings } from "../base/settings.ts";

type Name = keyof typeof OPTIONS;

function refusal(args: string[], env: Environment = {}): string {
  try {
    settings(args, env);
  } catch (error) {
    assert.ok(error instanceof RunError, String(error));
    assert.equal(error.exit, "usage");
    assert.match(error.message, /\. Try --help\.$/);
    return error.message;
  }
  assert.fail(`accepted ${JSON.stringify([args, env])}`);
}

/** Options that take no free value, or none alone: each has a test of its own below. */
const OWN_TESTS = [
  ...["resume", "fresh", "engine", "retryFailed", "onlyCode", "noGuard"] as const,
  ...["engineUrl", "httpFormat", "language"] as const,
];

/** Two good values per option, the default, and bad values. */
const VALUES: Record<Exclude<Name, (typeof OWN_TESTS)[number]>, {
  readonly good: readonly [string, string];
  /** What the values come to in the settings. @default the values themselves */
  readonly means?: readonly [unknown, unknown];
  /** Where in the settings. @default under the option's own name */
  readonly at?: keyof Settings;
  readonly fallback: unknown;
  readonly bad: readonly string[];
}> = {
  datasetName: {
    good: ["train_v2", "0.1-b"],
    fallback: "demo",
    bad: ["a/b", "..", ".hidden", "한글", "a b", "x".repeat(129)],
  },
  store: {
    good: ["./labels", "/data/한글 x"],
    at: "folder",
    fallback: undefined,
    bad: ["s3://b", "s3://my-bucket/prefix", "http://my-bucket", "file://host/x", "s3:b", " "],
  },
  s3Bucket: {
    good: ["my-bucket", "b.2"],
    fallback: undefined,
    bad: ["s3://b", "Bucket", "ab", "-ab", "a/b", "x".repeat(64)],
  },
  inputKey: {
    good: ["in.parquet", "한글/in x.parquet"],
    fallback: "data/processed/demo.parquet",
    bad: ["/in", "a//b", "a/../b", "s3://bucket/in.parquet", "a/"],
  },
  outputKey: {
    good: ["out.parquet", "a/b"],
    fallback: "data/processed/demo_pseudo_labels.parquet",
    bad: ["/out", "a//b", "./a", "s3://bucket/out.parquet", "a/"],
  },
  checkpointPrefix: {
    good: ["state", "state/of/runs/"],
    means: ["state/", "state/of/runs/"],
    fallback: "checkpoints/",
    bad: ["/", "/state", "a//", "../a", "s3://bucket/state"],
  },
  batchSize: {
    good: ["1", "100000"],
    means: [1, 100_000],
    fallback: 500,
    bad: ["0", "100001", "1.5", "-1", "1e3", "0x10", "many", " 5", "9".repeat(400)],
  },
  rate: {
    good: ["0.5", "1000"],
    means: [0.5, 1_000],
    fallback: undefined,
    bad: ["0", "1001", "-3", "fast"],
  },
  concurrency: {
    good: ["1", "512"],
    means: [1, 512],
    fallback: undefined,
    bad: ["0", "513", "2.5", "-3", "all"],
  },
  requestDelayMs: {
    good: ["0", "600000"],
    means: [0, 600_000],
    fallback: undefined,
    bad: ["600001", "0.5", "-1", "100ms"],
  },
  memoryBudget: {
    good: ["1", "65536"],
    means: [1_048_576, 68_719_476_736],
    fallback: 67_108_864,
    bad: ["0", "65537", "0.5", "64MB"],
  },
  maxRetries: {
    good: ["0", "100"],
    means: [0, 100],
    fallback: 3,
    bad: ["101", "1.5", "-1", "Infinity"],
  },
  maxFailureRate: {
    good: ["0", "0.25"],
    means: [0, 0.25],
    fallback: 0.05,
    bad: ["1.01", "-0.1", "5%", "NaN", ".", "1."],
  },
  model: {
    good: ["ocr-260930", "ocr_2"],
    fallback: "ocr",
    bad: ["a/b", "..", "o c r"],
  },
  fallback: {
    good: ["upstage-ocr:ocr-2", " upstage-ocr:ocr-2 ,upstage-ocr:ocr-3"],
    means: [
      [{ engine: "upstage-ocr", model: "ocr-2" }],
      [{ engine: "upstage-ocr", model: "ocr-2" }, { engine: "upstage-ocr", model: "ocr-3" }],
    ],
    at: "fallbacks",
    fallback: [],
    bad: [
      "other",
      "upstage-ocr",
      "upstage-ocr:ocr",
      "upstage-ocr:a,upstage-ocr:a",
      "upstage-ocr:../x",
    ],
  },
  maxPages: {
    good: ["0", "1000000000000"],
    means: [0, 1e12],
    fallback: Infinity,
    bad: ["1000000000001", "1.5", "-1", "none", "Infinity"],
  },
  maxCost: {
    good: ["3", "0.0015"],
    means: [2_000, 1],
    at: "maxPages",
    fallback: Infinity,
    bad: ["-1", "$5", "1e3", "1,000"],
  },
  pricePerPage: {
    good: ["0", "0.01"],
    means: [0, 0.01],
    fallback: 0.0015,
    bad: ["1001", "-1", "cheap"],
  },
  maxOutageMinutes: {
    good: ["0.5", "1440"],
    means: [30_000, 86_400_000],
    at: "maxOutageMs",
    fallback: 600_000,
    bad: ["1441", "-1", "10m"],
  },
  leaseSeconds: {
    good: ["1", "3600"],
    means: [1_000, 3_600_000],
    at: "leaseMs",
    fallback: 30_000,
    bad: ["0", "3601", "1.5", "30s"],
  },
};

/** What an option came to in the settings. */
function read(name: keyof typeof VALUES, from: Settings): unknown {
  return from[VALUES[name].at ?? name as keyof Settings];
}

const NAMES = Object.keys(VALUES) as (keyof typeof VALUES)[];

/** What makes the command line complete beside the option under test. */
function base(name: Name): string[] {
  return name === "datasetName" ? [] : ["--dataset-name", "demo"];
}

Deno.test("VALUES covers every option that takes a free value", () => {
  const own: readonly string[] = OWN_TESTS;
  assert.deepEqual([...NAMES].sort(), Object.keys(OPTIONS).filter((n) => !own.includes(n)).sort());
});

for (const name of NAMES) {
  const spec: OptionSpec = OPTIONS[name];
  const { good, means = good, fallback, bad } = VALUES[name];

  Deno.test(`readSettings() takes --${spec.flag} before ${spec.env} before the default`, () => {
    const flag = [`--${spec.flag}`, good[0]];
    const env = { [spec.env]: good[1] };
    assert.deepEqual(read(name, settings([...base(name), ...flag], env)), means[0]);
    assert.deepEqual(read(name, settings(base(name), env)), means[1]);
    if (name === "datasetName") return;
    assert.deepEqual(read(name, settings(base(name))), fallback);
    // Batch job definitions set what they don't need to an empty text.
    assert.deepEqual(read(name, settings(base(name), { [spec.env]: "" })), fallback);
  });

  Deno.test(`readSettings() refuses a bad --${spec.flag} and names where it came from`, () => {
    for (const value of bad) {
      const fromFlag = refusal([...base(name), `--${spec.flag}=${value}`]);
      assert.ok(fromFlag.startsWith(`--${spec.flag} must be `), fromFlag);
      const start = value.length > 200 ? `'${value.slice(0, 190)}` : `'${value}'`;
      assert.ok(fromFlag.includes(start) && fromFlag.length < 500, fromFlag);
      const fromEnv = refusal(base(name), { [spec.env]: value });
      assert.ok(fromEnv.startsWith(`${spec.env} must be `), fromEnv);
    }
    // An empty flag is a slip (an unset shell variable), not a wish for the default.
    refusal([...base(name), `--${spec.flag}=`]);
    assert.match(refusal([...base(name), `--${spec.flag}`]), new RegExp(`--${spec.flag}`));
  });
}

Deno.test("readSettings() knows one engine and names it when another is asked for", () => {
  assert.equal(settings(["--dataset-name=demo"]).engine, "upstage-ocr");
  assert.equal(settings(["--dataset-name=demo", "--engine=upstage-ocr"]).engine, "upstage-ocr");
  assert.equal(settings(["--dataset-name=demo"], { OCR_ENGINE: "" }).engine, "upstage-ocr");
  assert.match(refusal(["--dataset-name=demo", "--engine", "x"]), /^--engine .*upstage-ocr.*'x'/);
  assert.match(refusal(["--dataset-name=demo"], { OCR_ENGINE: "x" }), /^OCR_ENGINE .*upstage-ocr/);
});

Deno.test("readSettings() reads RESUME, which --resume and --fresh override", () => {
  const start = (RESUME: string | undefined, ...args: string[]) =>
    settings(["--dataset-name=demo", ...args], { RESUME }).start;
  for (const value of ["true", "TRUE", "1", "yes"]) assert.equal(start(value), "resume", value);
  for (const value of ["false", "False", "0", "no"]) assert.equal(start(value), "fresh", value);
  for (const value of [undefined, "", "auto", "AUTO"]) assert.equal(start(value), "auto", value);
  assert.equal(start("false", "--resume"), "resume");
  assert.equal(start("true", "--fresh"), "fresh");
  assert.match(refusal(["--dataset-name=demo"], { RESUME: "maybe" }), /^RESUME .*'maybe'/);
  assert.match(refusal(["--dataset-name=demo", "--resume", "--fresh"]), /--resume.*--fresh/);
  assert.match(refusal(["--dataset-name=demo", "--fresh=yes"]), /--fresh/);
});

Deno.test("readSettings() reads which failed rows are to be made anew", () => {
  const failed = (env: Environment, ...args: string[]) =>
    settings(["--dataset-name=demo", ...args], env).retryFailed;
  assert.equal(failed({}), undefined);
  assert.deepEqual(failed({}, "--retry-failed"), { codes: "all" });
  assert.deepEqual(failed({ RETRY_FAILED: "true", ONLY_CODE: "" }), { codes: "all" });
  assert.equal(failed({ RETRY_FAILED: "false" }), undefined);
  assert.deepEqual(failed({}, "--retry-failed", "--only-code=api_unavailable, image_empty"), {
    codes: ["api_unavailable", "image_empty"],
  });
  assert.deepEqual(failed({ RETRY_FAILED: "1", ONLY_CODE: "api_rejected" }), {
    codes: ["api_rejected"],
  });
  const refused = (env: Environment, ...args: string[]) =>
    refusal(["--dataset-name=demo", ...args], env);
  assert.match(refused({}, "--only-code=api_rejected"), /^--only-code .*--retry-failed/);
  assert.match(refused({ ONLY_CODE: "api_rejected" }), /^ONLY_CODE .*--retry-failed/);
  const unknown = refused({}, "--retry-failed", "--only-code=api_rejected,constructor");
  assert.match(unknown, /^--only-code: unknown code 'constructor'.*api_unavailable/);
  assert.match(refused({}, "--retry-failed", "--fresh"), /--retry-failed and --fresh exclude/);
  assert.match(refused({ RETRY_FAILED: "maybe" }), /^RETRY_FAILED .*'maybe'/);
});

Deno.test("readSettings() lifts the guards when told to", () => {
  const lifted = (env: Environment, ...args: string[]) =>
    settings(["--dataset-name=demo", ...args], env).noGuard;
  assert.deepEqual([lifted({}), lifted({ NO_GUARD: "" }), lifted({ NO_GUARD: "false" })], [
    false,
    false,
    false,
  ]);
  assert.deepEqual([lifted({}, "--no-guard"), lifted({ NO_GUARD: "true" })], [true, true]);
  assert.match(refusal(["--dataset-name=demo"], { NO_GUARD: "maybe" }), /^NO_GUARD .*'maybe'/);
});

Deno.test("readSettings() takes the tighter of the two spending limits and names it", () => {
  const limit = (...args: string[]) => {
    const { maxPages, limit } = settings(["--dataset-name=demo", ...args]);
    return [maxPages, limit];
  };
  const cost = ["--max-cost=0.3", "--price-per-page=0.1"];
  // 0.3 / 0.1 is a hair below 3 in floating point.
  assert.deepEqual(limit(...cost), [3, "--max-cost 0.3 (3 pages)"]);
  assert.deepEqual(limit(...cost, "--max-pages=2"), [2, "--max-pages 2"]);
  assert.deepEqual(limit(...cost, "--max-pages=4"), [3, "--max-cost 0.3 (3 pages)"]);
  assert.deepEqual(limit("--max-cost=1", "--price-per-page=0", "--max-pages=7"), [
    7,
    "--max-pages 7",
  ]);
});

Deno.test("readSettings() refuses an output that would replace the input", () => {
  const env = { OUTPUT_S3_KEY: "a.parquet" };
  const message = refusal(["--dataset-name=demo", "--input-s3-key=a.parquet"], env);
  assert.match(message, /--output-s3-key must differ from --input-s3-key.*'a\.parquet'/);
  refusal(["--dataset-name=demo", "--output-s3-key=data/processed/demo.parquet"]);
});

Deno.test("readSettings() refuses names of what the program keeps, and says what lies there", () => {
  const refused = (...args: string[]) => refusal(["--dataset-name=demo", ...args]);
  for (const option of ["--input-s3-key", "--output-s3-key"]) {
    for (
      const [key, message] of [
        ["responses/upstage-ocr/ocr/ab/x.json.gz", /below responses\//],
        ["rates", /below rates\//],
        [
          "checkpoints/demo/manifest.json",
          /below checkpoints\/demo\/, where the state of data set 'demo'/,
        ],
        ["checkpoints/demo/anything", /checkpoint-prefix/],
        ["checkpoints/other/batch_000001.parquet", /data set 'other'/],
        ["checkpoints/other/set_aside/x", /data set 'other'/],
      ] as const
    ) {
      const said = refused(`${option}=${key}`);
      assert.match(said, message);
      assert.ok(said.startsWith(`${option} can't be '${key}': it lies below `), said);
    }
    const said = refusal(["--dataset-name=demo"], {
      [option === "--input-s3-key" ? "INPUT_S3_KEY" : "OUTPUT_S3_KEY"]: "rates/x",
    });
    assert.match(said, /^(IN|OUT)PUT_S3_KEY can't be 'rates\/x'/);
  }
  for (
    const key of [
      "checkpoints.parquet",
      "checkpoints/mine.parquet",
      "checkpoints/other/labels.parquet",
      "my/responses/x",
    ]
  ) {
    assert.equal(settings(["--dataset-name=demo", `--output-s3-key=${key}`]).outputKey, key);
  }
  for (const prefix of ["responses", "responses/", "responses/upstage-ocr", "claims/x/", "rates"]) {
    const said = refused(`--checkpoint-prefix=${prefix}`);
    assert.ok(said.startsWith(`--checkpoint-prefix can't be '${prefix}': it lies below `), said);
  }
  assert.equal(
    settings(["--dataset-name=demo", "--checkpoint-prefix=my/rates"]).checkpointPrefix,
    "my/rates/",
  );
  const data = ["--checkpoint-prefix=data"];
  assert.match(
    refusal(["--dataset-name=processed", ...data]),
    /^--input-s3-key can't be 'data\/processed\/processed.parquet'.*data set 'processed'.*checkpoint-prefix/,
  );
  settings(["--dataset-name=demo", ...data]);
});

Deno.test("readSettings() refuses a data set whose input would be the output of another", () => {
  const name = "--dataset-name=demo_pseudo_labels";
  const said = refusal([name]);
  assert.match(said, /demo_pseudo_labels.*--input-s3-key.*output of data set 'demo' goes/);
  assert.equal(settings([name, "--input-s3-key=a.parquet"]).inputKey, "a.parquet");
  settings(["--dataset-name=_pseudo_labels"]);
  settings(["--dataset-name=demo_pseudo_labels_2"]);
});

Deno.test("readSettings() says what a key is where it was given a URL or a folder", () => {
  const refused = (option: string) => refusal(["--dataset-name=demo", option]);
  assert.match(
    refused("--input-s3-key=s3://bucket/a/in.parquet"),
    /^--input-s3-key must be the key alone, 'a\/in\.parquet', as the bucket is --s3-bucket: it is 's3:/,
  );
  assert.match(refused("--output-s3-key=s3://bucket"), /must be the key alone, as the bucket/);
  assert.match(refused("--checkpoint-prefix=s3://b/state/"), /must be the key alone, 'state\/'/);
  assert.match(refused("--input-s3-key=data/parts/"), /one Parquet object, not of a folder/);
});

Deno.test("readSettings() takes a bucket or a folder by either name, never two stores", () => {
  const at = (args: string[], env: Environment = {}) => {
    const { s3Bucket, folder } = settings(["--dataset-name=demo", ...args], env);
    return [s3Bucket, folder];
  };
  assert.deepEqual(at(["--store=s3://my-bucket"]), ["my-bucket", undefined]);
  assert.deepEqual(at(["--store=s3://my-bucket/"]), ["my-bucket", undefined]);
  assert.deepEqual(at(["--store=file:///a%20b/c"]), [undefined, "/a b/c"]);
  // What the command line says wins over the environment, whichever option it uses.
  assert.deepEqual(at(["--store=./x"], { S3_BUCKET: "my-bucket" }), [undefined, "./x"]);
  assert.deepEqual(at(["--s3-bucket=b.1"], { STORE: "./x" }), ["b.1", undefined]);
  assert.deepEqual(at(["--store=s3://b.1", "--s3-bucket=b.1"]), ["b.1", undefined]);
  const two = refusal(["--dataset-name=demo", "--store=./x", "--s3-bucket=b.1"]);
  assert.match(two, /^--store and --s3-bucket name two stores: give one/);
  assert.match(refusal(["--dataset-name=demo"], { STORE: "./x", S3_BUCKET: "b.1" }), /^STORE and/);
});

Deno.test("readSettings() knows what was given of what a manifest also says", () => {
  const given = (args: string[], env: Environment = {}) =>
    settings(["--dataset-name=demo", ...args], env).given;
  const none = { batchSize: false, engine: false, model: false };
  assert.deepEqual(given([]), none);
  assert.deepEqual(given([], { BATCH_SIZE: "" }), none);
  assert.deepEqual(given(["--batch-size=500"]), { ...none, batchSize: true });
  assert.deepEqual(given([], { OCR_ENGINE: "upstage-ocr", OCR_MODEL: "ocr" }), {
    ...{ batchSize: false, engine: true, model: true },
  });
});

Deno.test("readSettings() derives both keys from the data set, wherever its name came from", () => {
  const { inputKey, outputKey } = settings([], { DATASET_NAME: "set_7" });
  assert.equal(inputKey, "data/processed/set_7.parquet");
  assert.equal(outputKey, "data/processed/set_7_pseudo_labels.parquet");
});

Deno.test("readSettings() asks for a data set by both names", () => {
  assert.match(refusal([]), /--dataset-name .*DATASET_NAME.* required/);
  assert.match(refusal(["run"], { DATASET_NAME: "" }), /required/);
});

Deno.test("parseFlags() names an unknown option in one sentence", () => {
  const message = refusal(["--dataset-name=demo", "--datset=x"]);
  assert.match(message, /'--datset'/);
  assert.ok(!message.includes("\n") && message.length < 80, message);
});

Deno.test("firstWord() finds the command wherever it stands and whatever is wrong", () => {
  const word = (...args: string[]) => firstWord(args, Object.values(OPTIONS));
  const args = ["--dataset-name", "run", "--fresh", "--batch-size", "7"];
  assert.equal(word(...args), undefined);
  assert.equal(word("verify", ...args), "verify");
  assert.equal(word(...args, "verify"), "verify");
  assert.equal(word("--datset=x", "--fresh=yes", "verify", "extra", "--rate"), "verify");
  assert.deepEqual(settings([...args, "verify"]), settings(args));
});

Deno.test("readSettings() gives usable settings or a usage error for any text", () => {
  const names = NAMES.map((name) => OPTIONS[name].env);
  const values = NAMES.flatMap((name) => VALUES[name].good);
  const environment = fc.dictionary(
    fc.constantFrom(...names),
    fc.oneof(fc.constantFrom(...values), fc.string()),
    { noNullPrototype: true, maxKeys: 3 },
  );
  fc.assert(fc.property(environment, (env) => {
    try {
      const { batchSize, checkpointPrefix, inputKey, outputKey } = settings(
        ["--dataset-name=demo"],
        env,
      );
      assert.ok(batchSize >= 1 && checkpointPrefix.endsWith("/") && inputKey !== outputKey);
    } catch (error) {
      assert.ok(error instanceof RunError && error.exit === "usage", String(error));
    }
  }));
});

Deno.test("readSettings() takes the address of a server for the wish to ask it, and what is said of it", () => {
  const own = settings(
    ["--dataset-name=demo", "--engine-url", "http://127.0.0.1:8828", "--language=ko"],
    { ENGINE_URL: "http://other", HTTP_FORMAT: "liteparse" },
  );
  assert.deepEqual([own.engine, own.given.engine, own.pricePerPage], ["http", true, 0]);
  assert.deepEqual(own.engineVariables, {
    ENGINE_URL: "http://127.0.0.1:8828",
    HTTP_FORMAT: "liteparse",
    OCR_LANGUAGE: "ko",
  });
  assert.equal(settings(["--dataset-name=demo"], { ENGINE_URL: "http://own" }).engine, "http");
  const paid = settings(["--dataset-name=demo", "--engine=http", "--price-per-page=0.001"]);
  assert.equal(paid.pricePerPage, 0.001);
  const behind = settings(["--dataset-name=demo", "--fallback=http", "--engine-url=http://own"]);
  assert.deepEqual([behind.engine, behind.given.engine], ["upstage-ocr", false]);
  assert.deepEqual(behind.fallbacks, [{ engine: "http", model: "server" }]);
  assert.deepEqual(behind.engineVariables, { ENGINE_URL: "http://own" });
  // Another engine is not told, and a flag for it is a mistake.
  const other = settings(["--dataset-name=demo", "--engine=upstage-ocr"], {
    ...{ ENGINE_URL: "http://own", HTTP_FORMAT: "doctr", OCR_LANGUAGE: "ko" },
  });
  assert.deepEqual([other.engine, other.engineVariables], ["upstage-ocr", {}]);
  for (const flag of ["engine-url", "http-format", "language"]) {
    const said = refusal(["--dataset-name=demo", "--engine=upstage-ocr", `--${flag}=x`]);
    assert.match(said, new RegExp(`^--${flag} goes with --engine http`));
  }
  const key = "up_0123456789abcdefghij0123";
  const said = refusal(["--dataset-name=demo", `--engine-url=http://x/?k=${key}`]);
  assert.match(said, /looks like an API key, which is not repeated/);
});
