import assert from "node:assert/strict";
import { storeConformance } from "../../dev/testing/store_conformance.ts";
import { openFolder } from "./folder.ts";

const text = (s: string) => new TextEncoder().encode(s);

/** An error of the system as Deno gives it. */
function refusal(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** A system that refuses to link or rename some files, until it is disposed. */
function system(refuses: (verb: "link" | "rename", from: string) => string | undefined) {
  const { link, rename } = Deno;
  const checked = (verb: "link" | "rename", real: typeof link): typeof rename => (from, to) => {
    const code = refuses(verb, `${from}`);
    return code === undefined ? real(`${from}`, `${to}`) : Promise.reject(refusal(code));
  };
  Deno.link = checked("link", link);
  Deno.rename = checked("rename", rename);
  return {
    [Symbol.dispose]() {
      Deno.link = link;
      Deno.rename = rename;
    },
  };
}

async function open() {
  const path = await Deno.makeTempDir();
  const store = openFolder(path);
  return {
    ...{ path, store, conditionalWrites: { create: true, replace: true } },
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** The folder in which files are written aside is on another disk than all others. */
const otherDisk = (_verb: string, from: string) => from.includes("/.tmp/") ? "EXDEV" : undefined;
/** A disk such as exFAT. */
const noLinks = (verb: string, _from: string) => verb === "link" ? "EPERM" : undefined;

Deno.test("openFolder() keeps the contract where folders are other disks, which know no hard links", async (t) => {
  using _system = system((...asked) => otherDisk(...asked) ?? noLinks(...asked));
  await storeConformance(t, open);
});

Deno.test("of all that create one object one wins, and nothing is left behind, on any disk", async () => {
  for (const refuses of [otherDisk, noLinks]) {
    using _system = system(refuses);
    await using it = await open();
    const ended = await Promise.all(
      Array.from(
        { length: 20 },
        (_, n) =>
          openFolder(it.path).write("a/b", text(`${n}`), { onlyIf: "absent" })
            .then(() => "written", (error) => error.kind),
      ),
    );
    assert.deepEqual(ended.filter((end) => end !== "precondition"), ["written"]);
    const left = Array.from(Deno.readDirSync(`${it.path}/a`), ({ name }) => name);
    assert.deepEqual(left, ["b"]);
  }
});

Deno.test("what a killed process left on its way from another disk is no object", async () => {
  await using it = await open();
  await it.store.write("a/b", text("x"));
  await Deno.mkdir(`${it.path}/a/.tmp-pseudolabel`);
  await Deno.writeTextFile(`${it.path}/a/.tmp-pseudolabel/half`, "");
  const listed = await Array.fromAsync(it.store.list(""), ({ key }) => key);
  assert.deepEqual(listed, ["a/b"]);
  assert.equal(await it.store.stat("a/.tmp-pseudolabel/half"), undefined);
});

Deno.test("a disk that refuses more than links is said to, in the system's own words", async () => {
  using _system = system(() => "EPERM");
  await using it = await open();
  const refused = it.store.write("a", text("x"), { onlyIf: "absent" });
  await assert.rejects(refused, { name: "StoreError", kind: "denied" });
});
