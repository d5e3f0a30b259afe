import assert from "node:assert/strict";
import { EXIT } from "../../lib/base/errors.ts";

interface Rule {
  readonly onStatusReason?: string;
  readonly onReason?: string;
  readonly onExitCode?: string;
  readonly action: "RETRY" | "EXIT";
}

/** How an attempt ended, as Batch sees it. */
interface Attempt {
  readonly statusReason: string;
  readonly reason?: string;
  readonly exitCode?: number;
}

const ROOT = new URL("../../", import.meta.url);
const TEXT = await Deno.readTextFile(new URL("batch-job-def.json", ROOT));
const DEFINITION = JSON.parse(TEXT);
const RULES: readonly Rule[] = DEFINITION.retryStrategy.evaluateOnExit;
const CONTAINER = DEFINITION.containerProperties;

/** The rule Batch goes by: the first whose conditions all match, and a retry if none does. */
function verdict({ statusReason, reason = "", exitCode }: Attempt): "RETRY" | "EXIT" {
  const matches = (pattern: string | undefined, text: string) =>
    pattern === undefined ||
    (pattern.endsWith("*") ? text.startsWith(pattern.slice(0, -1)) : text === pattern);
  const rule = RULES.find((rule) =>
    matches(rule.onStatusReason, statusReason) && matches(rule.onReason, reason) &&
    matches(rule.onExitCode, exitCode === undefined ? "" : String(exitCode))
  );
  return rule?.action ?? "RETRY";
}

function exitWith(exitCode: number): Attempt {
  return { statusReason: "Essential container in task exited", exitCode };
}

Deno.test("of the program's exit codes Batch retries 75 alone, and nothing a signal causes", () => {
  for (const code of Object.values(EXIT)) {
    if (code === EXIT.ok) continue; // a success is not looked at
    assert.equal(verdict(exitWith(code)), code === EXIT.again ? "RETRY" : "EXIT", `code ${code}`);
  }
  assert.equal(verdict({ ...exitWith(137), reason: "OutOfMemoryError: container killed" }), "EXIT");
  assert.equal(verdict(exitWith(143)), "EXIT");
});

Deno.test("Batch retries what befalls the task: a reclaimed Spot task, a start or a pull that failed", () => {
  const interrupted = "Your Spot Task was interrupted.";
  assert.equal(verdict({ statusReason: interrupted, exitCode: 137 }), "RETRY");
  assert.equal(verdict({ statusReason: interrupted }), "RETRY");
  assert.equal(verdict({ statusReason: "Task failed to start" }), "RETRY");
  const pull = "CannotPullContainerError: pull image manifest has been retried 5 time(s)";
  assert.equal(
    verdict({ statusReason: "Essential container in task exited", reason: pull }),
    "RETRY",
  );
  assert.equal(verdict({ statusReason: "Host EC2 (instance i-0) terminated." }), "EXIT");
});

Deno.test("the retry rules keep to Batch's limits, and the last one ends whatever is left", () => {
  assert.ok(RULES.length <= 5);
  assert.ok(DEFINITION.retryStrategy.attempts >= 1 && DEFINITION.retryStrategy.attempts <= 10);
  assert.deepEqual(RULES.at(-1), { onReason: "*", action: "EXIT" });
  for (const rule of RULES) {
    for (const [name, pattern] of Object.entries(rule)) {
      if (name !== "action") assert.match(pattern, /^[^*]*\*?$/, "a star only at the end");
    }
  }
});

Deno.test("docs/OPERATIONS.md says of every exit code what Batch does", async () => {
  const text = await Deno.readTextFile(new URL("docs/OPERATIONS.md", ROOT));
  const rows = [...text.matchAll(/^\| +(\d+) \|[^|]+\| (ends|runs again)[^|]*\|/gm)];
  assert.deepEqual(
    rows.map(([, code, does]) => [Number(code), does]),
    Object.values(EXIT).sort((a, b) => a - b).map((code) => [
      code,
      code !== EXIT.ok && verdict(exitWith(code)) === "RETRY" ? "runs again" : "ends",
    ]),
  );
});

Deno.test("CPU and memory are a pair that Fargate has", () => {
  const memory: Record<string, number[]> = {
    "0.25": [512, 1024, 2048],
    "0.5": [1024, 2048, 3072, 4096],
    "1": [2048, 3072, 4096, 5120, 6144, 7168, 8192],
  };
  const [cpu, ram] = ["VCPU", "MEMORY"].map((type) =>
    CONTAINER.resourceRequirements.find((one: { type: string }) => one.type === type).value
  );
  assert.ok(memory[cpu]?.includes(Number(ram)), `${cpu} vCPU with ${ram} MB`);
});

Deno.test("the container is read-only, logs to the group, and has two weeks at most", () => {
  assert.equal(CONTAINER.readonlyRootFilesystem, true);
  assert.equal(CONTAINER.logConfiguration.options["awslogs-group"], "${LOG_GROUP}");
  assert.deepEqual(DEFINITION.platformCapabilities, ["FARGATE"]);
  assert.equal(DEFINITION.timeout.attemptDurationSeconds, 14 * 24 * 3600);
});

Deno.test("the script fills in every placeholder, and none is a secret", async () => {
  const script = await Deno.readTextFile(new URL("dev/aws/job_definition.sh", ROOT));
  const filled = /PLACEHOLDERS=\(([^)]+)\)/.exec(script)![1].trim().split(/\s+/);
  const used = new Set([...TEXT.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name));
  assert.deepEqual([...used].sort(), [...filled, "DIGEST"].sort());
  assert.doesNotMatch(TEXT, /API_KEY/);
});
