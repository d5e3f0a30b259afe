import assert from "node:assert/strict";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { RunError } from "../base/errors.ts";
import { isSafeName } from "../state/keys.ts";
import {
  DEFAULT_ENGINE,
  ENGINE_ENVIRONMENT,
  ENGINE_NAMES,
  findEngine,
  looksLikeKey,
} from "./engines.ts";
import { MEDIA_TYPES } from "../image/media_type.ts";

const ROOT = new URL("../../", import.meta.url);
const ENGINES = ENGINE_NAMES.map((name) => findEngine(name)!);

/** Names of vendors, and the files that may have them. */
const VENDORS: readonly (readonly [name: RegExp, files: RegExp])[] = [
  [/upstage|\bup_/i, /^lib\/engine\/upstage_\w+\.ts$/],
  [/textract/i, /^lib\/engine\/aws_textract\w*\.ts$/],
  [/google[_.-]|GOOGLE_|Google Cloud|googleapis/, /^lib\/engine\/google_\w+\.ts$/],
];

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    if (isDirectory) yield* sources(`${folder}${name}/`);
    else if (!name.endsWith("_test.ts")) yield folder + name;
  }
}

Deno.test("a vendor's name stands in its engines' own files and in the table alone", async () => {
  const found = VENDORS.map((): string[] => []);
  const own = VENDORS.map(() => 0);
  for (const path of ["main.ts", ...await Array.fromAsync(sources("lib/"))]) {
    if (path === "lib/engine/engines.ts") continue;
    const text = await Deno.readTextFile(new URL(path, ROOT));
    VENDORS.forEach(([name, files], n) => {
      if (!name.test(text)) return;
      if (files.test(path)) own[n]++;
      else found[n].push(path);
    });
  }
  assert.deepEqual(found, VENDORS.map(() => []));
  assert.ok(own.every((files) => files > 0), String(own));
});

Deno.test("findEngine() knows each engine by its name, and no other", () => {
  assert.equal(new Set(ENGINE_NAMES).size, ENGINE_NAMES.length);
  for (const engine of ENGINES) assert.equal(findEngine(engine.name), engine);
  assert.equal(DEFAULT_ENGINE, ENGINES[0]);
  for (const name of ["", "constructor"]) assert.equal(findEngine(name), undefined);
});

for (const facts of ENGINES) {
  const engine = await facts.load();
  const names = engine.environment.map(({ name }) => name);

  Deno.test(`${engine.name} states every fact that the program goes by`, () => {
    for (const [fact, value] of Object.entries(facts)) {
      if (fact === "load" || fact === "findModel") continue;
      assert.deepEqual(engine[fact as keyof typeof engine], value, fact);
    }
    for (const name of [engine.name, engine.defaultModel]) assert.ok(isSafeName(name), name);
    assert.ok(engine.documentedRate === null || engine.documentedRate > 0);
    assert.equal(facts.findModel === undefined, engine.findModel === undefined);
    assert.ok(engine.price.perPage >= 0);
    if (engine.price.perPage > 0) assert.match(engine.price.asOf!, /^[A-Z][a-z]+ 20\d\d$/);
    else assert.equal(engine.price.asOf, null);
    assert.ok(["word", "line", "block"].includes(engine.granularity));
    assert.ok(Number.isSafeInteger(engine.maxBytes) && engine.maxBytes > 0);
    assert.ok(engine.mediaTypes.has("image/jpeg") && engine.mediaTypes.has("image/png"));
    const known: readonly string[] = Object.values(MEDIA_TYPES);
    assert.deepEqual([...engine.mediaTypes].filter((type) => !known.includes(type)), []);
  });

  Deno.test(`${engine.name} names every variable that it reads, and the program may read them`, async () => {
    for (const { name, help } of engine.environment) {
      assert.match(name, /^[A-Z][A-Z0-9_]*$/);
      assert.ok(help !== "" && ENGINE_ENVIRONMENT.some((variable) => variable.name === name), name);
    }
    const { keyVariable } = engine;
    assert.ok(keyVariable === undefined || names.includes(keyVariable));
    const config = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
    const allowed: string[] = config.permissions.run.env;
    const may = (name: string) =>
      allowed.some((it) => it === name || (it.endsWith("*") && name.startsWith(it.slice(0, -1))));
    assert.deepEqual(names.filter((name) => !may(name)), []);

    const read = new Set<string>();
    const env = new Proxy<Record<string, string>>({}, {
      get: (_, name) => void read.add(String(name)),
    });
    const connecting = engine.connect({
      env,
      readSecret: () => Promise.reject(new Error("no secret is named")),
      clock: new VirtualClock(),
      note: () => {},
    });
    await connecting.catch((error) => {
      assert.ok(error instanceof RunError && error.exit === "usage", String(error));
      assert.ok(names.some((name) => error.message.includes(name)), error.message);
    });
    assert.deepEqual([...read].filter((name) => !names.includes(name)), []);
  });

  Deno.test(`${engine.name} takes nonsense for a problem, and never forgets that it was paid`, () => {
    for (const body of [undefined, null, [], {}, "", 0, { pages: [] }]) {
      assert.ok(engine.parse(body).problem, JSON.stringify(body));
      assert.ok(engine.billedPages(body) >= 1);
    }
  });
}

Deno.test("looksLikeKey() knows keys that are glued behind a letter, and no names that end like one", () => {
  const mixed = "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8";
  const keys = [`up_${mixed}`, `xup_${mixed}`, `--api-keyup_${mixed}`, `9AIza${mixed}-_012345678`];
  for (const key of keys) assert.ok(looksLikeKey(key), key);
  const names = ["backup_d41d8cd98f00b204e9800998ecf8427e", "setup_20261126T101500123456789Z"];
  for (const name of names) assert.ok(!looksLikeKey(name), name);
});
