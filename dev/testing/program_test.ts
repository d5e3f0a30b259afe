import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { checkoutCommand } from "./program.ts";

/** Stands for the program: tries things and says which of them it was let. */
const PROBE = `
const tries = {
  "write .local/x": () => Deno.writeTextFileSync(".local/x", ""),
  "write .local/new/x": () => { Deno.mkdirSync(".local/new"); Deno.writeTextFileSync(".local/new/x", ""); },
  "read a file": () => Deno.readTextFileSync("deno.json"),
  "listen": () => Deno.listen({ port: 0, hostname: "127.0.0.1" }).close(),
  "host name": () => Deno.hostname(),
  "env BATCH_SIZE": () => Deno.env.get("BATCH_SIZE"),
  "env AWS_ANYTHING": () => Deno.env.get("AWS_ANYTHING"),
  "write a folder of the user's": () => Deno.writeTextFileSync(Deno.makeTempDirSync({ dir: Deno.args[1] }) + "/x", ""),
  "write main.ts": () => Deno.writeTextFileSync("main.ts", ""),
  "write lib/x.ts": () => Deno.writeTextFileSync("lib/x.ts", ""),
  "write .local/../lib/x.ts": () => Deno.writeTextFileSync(".local/../lib/x.ts", ""),
  "move lib": () => Deno.renameSync("lib", "lib2"),
  "remove deno.json": () => Deno.removeSync("deno.json"),
  "write .git/hooks/post-commit": () => Deno.writeTextFileSync(".git/hooks/post-commit", ""),
  "env PATH": () => Deno.env.get("PATH"),
  "env AWS": () => Deno.env.get("AWS"),
  "env whole": () => Deno.env.toObject(),
  "set an unlisted env": () => Deno.env.set("LD_PRELOAD", "x"),
  "run a program": () => new Deno.Command("true").outputSync(),
  "run itself": () => new Deno.Command(Deno.execPath()).outputSync(),
  "load a library": () => Deno.dlopen("libc.so.6", {}),
};
const let_ = [], refused = [];
for (const [name, act] of Object.entries(tries)) {
  try {
    act();
    let_.push(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    refused.push(name);
  }
}
const heap = (await import("node:v8")).getHeapStatistics().heap_size_limit / 2 ** 20;
console.log(JSON.stringify({ let: let_, refused, heap, args: Deno.args }));
`;

Deno.test("the run task may do what its set of permissions says, and nothing else", async () => {
  const checkout = await Deno.makeTempDir();
  const elsewhere = await Deno.makeTempDir();
  try {
    for (const name of ["deno.json", "deno.lock"]) {
      await Deno.copyFile(new URL(`../../${name}`, import.meta.url), `${checkout}/${name}`);
    }
    await Deno.writeTextFile(`${checkout}/main.ts`, PROBE);
    for (const name of [".local", "lib"]) await Deno.mkdir(`${checkout}/${name}`);
    const { command, args } = checkoutCommand(["--an-argument", elsewhere], checkout);
    const { stdout, stderr } = await new Deno.Command(command, {
      args,
      cwd: checkout,
      stdin: "null",
      env: { BATCH_SIZE: "1", AWS_ANYTHING: "1", NO_COLOR: "1" },
    }).output();
    assert.equal(new TextDecoder().decode(stderr), "");
    const { let: allowed, refused, heap, args: passed } = JSON.parse(
      new TextDecoder().decode(stdout),
    );
    assert.deepEqual(allowed, [
      "write .local/x",
      "write .local/new/x",
      "read a file",
      "listen",
      "host name",
      "env BATCH_SIZE",
      "env AWS_ANYTHING",
      "write a folder of the user's",
    ]);
    assert.equal(refused.length, 13, refused.join(", "));
    assert.ok(heap > 384 && heap < 450, `${heap} MiB of heap`);
    assert.deepEqual(passed, ["--an-argument", elsewhere]);
  } finally {
    await Deno.remove(elsewhere, { recursive: true });
    await Deno.remove(checkout, { recursive: true });
  }
});

Deno.test("the run task asks for nothing on its command line but its set of permissions", () => {
  const flags = config.tasks.run.command.split(" ").filter((word) => word.startsWith("-"));
  assert.deepEqual(flags.map((flag) => flag.replace(/(--v8-flags)=.*/, "$1")).sort(), [
    "--no-prompt",
    "--quiet",
    "--v8-flags",
    "-P=run",
  ]);
  assert.deepEqual(Object.keys(config.permissions), ["run"]);
});
