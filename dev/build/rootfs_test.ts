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

/** Bytes of all files below a folder. */
async function weigh(folder: string): Promise<number> {
  let sum = 0;
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    if (isDirectory) sum += await weigh(`${folder}/${name}`);
    if (isFile) sum += (await Deno.stat(`${folder}/${name}`)).size;
  }
  return sum;
}

Deno.test("the image holds what the program loads and no other library than the C library's", {
  ignore: !FOLDER,
}, async () => {
  const names: string[] = [];
  const folders = [`${FOLDER}/root/usr/lib`];
  for (const folder of folders) {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory && name !== "gconv") folders.push(`${folder}/${name}`);
      else if (/\.so\b/.test(name)) names.push(name);
    }
  }
  const glibc =
    /^(ld-|lib(c|m|mvec|dl|rt|pthread|resolv|util|anl|BrokenLocale|c_malloc_debug|memusage|nsl|nss_\w+|pcprofile|thread_db)\.so)/;
  assert.deepEqual(names.filter((name) => !glibc.test(name)), ["libgcc_s.so.1"]);
  await using _job = await startHeldJob();
  const [pid] = await inside();
  const maps = await Deno.readTextFile(`/proc/${pid}/maps`);
  const loaded = [...new Set(maps.match(/\/usr\/lib\/\S+/g))];
  assert.ok(loaded.includes("/usr/lib/libgcc_s.so.1"), loaded.join());
  assert.ok(loaded.some((path) => path.endsWith("/libc.so.6")), loaded.join());
});

Deno.test("the image weighs what docs/OPERATIONS.md says, about 100 MB", {
  ignore: !FOLDER,
}, async () => {
  const all = await weigh(`${FOLDER}/root`);
  const executable = (await Deno.stat(`${FOLDER}/root/usr/local/bin/pseudolabel`)).size;
  const library = (await Deno.stat(`${FOLDER}/root/usr/lib/libgcc_s.so.1`)).size;
  const text = await Deno.readTextFile(new URL("../../docs/OPERATIONS.md", import.meta.url));
  const table = text.split("## What the image weighs")[1];
  const stated = table.match(/^\|.*\|$/gm)!.slice(2).map((line) => +line.split("|")[2]);
  const [glibc, others, gcc, program, sum] = stated;
  const near = (bytes: number, megabytes: number, by: number, what: string) =>
    assert.ok(
      Math.abs(bytes / 1e6 - megabytes) <= by,
      `${what}: ${(bytes / 1e6).toFixed(1)} MB, the table says ${megabytes}`,
    );
  near(all - executable - library, glibc + others, 0.5, "base");
  near(library, gcc, 0.1, "libgcc_s");
  near(executable, program, 2, "executable");
  near(all, sum, 2, "all");
  assert.ok(Math.abs(glibc + others + gcc + program - sum) < 0.11, "the table's sum");
});
