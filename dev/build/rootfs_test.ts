import assert from "node:assert/strict";
import { startProgram } from "../testing/program.ts";

/** What `dev/build/rootfs.sh make` made; all of `main_test.ts` runs in there then. */
const FOLDER = Deno.env.get("PSEUDOLABEL_ROOTFS");

/** Starts a job whose first request to the store is held, and finds its process. */
async function startHeldJob() {
  const { promise: arrived, resolve } = Promise.withResolvers<void>();
  const hold = Promise.withResolvers<Response>();
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () => {
    resolve();
    return hold.promise;
  });
  const program = startProgram(["--dataset-name", "demo", "--s3-bucket", "bench"], {
    env: {
      UPSTAGE_API_KEY: "up_key",
      AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${server.addr.port}`,
      AWS_ACCESS_KEY_ID: "a",
      AWS_SECRET_ACCESS_KEY: "b",
      AWS_REGION: "us-east-1",
    },
  });
  await arrived;
  return {
    program,
    [Symbol.asyncDispose]: async () => {
      hold.resolve(new Response(null, { status: 403 }));
      await program.ended;
      await server.shutdown();
    },
  };
}

/** The processes whose root is the folder's. */
async function inside(): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const command = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    if (!command.startsWith("/usr/local/bin/pseudolabel\0")) continue;
    const mounts = await Deno.readTextFile(`/proc/${name}/mountinfo`).catch(() => "");
    if (mounts.includes(`${FOLDER}/root `)) found.push(name);
  }
  return found;
}

Deno.test(
  "in the minimal root the program is process 1, user 65532, without rights, and nothing can be written",
  {
    ignore: !FOLDER,
  },
  async () => {
    await using _job = await startHeldJob();
    const [pid, ...others] = await inside();
    assert.deepEqual(others, []);
    const status = await Deno.readTextFile(`/proc/${pid}/status`);
    assert.match(status, /^NSpid:.*\t1$/m);
    assert.match(status, /^CapEff:\t0+$/m);
    assert.match(status, /^CapPrm:\t0+$/m);
    assert.match(status, /^NoNewPrivs:\t1$/m);
    assert.match(await Deno.readTextFile(`/proc/${pid}/uid_map`), /^ *65532 +\d+ +1\n$/);
    const mounts = (await Deno.readTextFile(`/proc/${pid}/mountinfo`)).trim().split("\n")
      .map((line) => line.split(" "));
    const roots = mounts.filter(([, , , , point]) => point === "/");
    assert.ok(roots.length > 0 && roots.every(([, , , , , flags]) => /^ro\b/.test(flags)));
    const seen = Array.from(Deno.readDirSync(`${FOLDER}/root`), ({ name }) => name);
    assert.ok(!seen.includes("tmp") && seen.includes("usr"));
    for (const shell of ["bin/sh", "bin/bash", "usr/bin/env"]) {
      await assert.rejects(Deno.stat(`${FOLDER}/root/${shell}`), shell);
    }
  },
);

Deno.test("SIGKILL leaves nothing behind in the minimal root", { ignore: !FOLDER }, async () => {
  await using job = await startHeldJob();
  assert.equal((await inside()).length, 1);
  job.program.kill("SIGKILL");
  // It ends when nothing has its output open any more, and so when the inside is dead, too.
  assert.equal((await job.program.ended).code, 137);
  assert.deepEqual(await inside(), []);
});
