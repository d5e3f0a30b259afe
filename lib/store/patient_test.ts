import assert from "node:assert/strict";
import { MemoryStore, type Operation } from "../../dev/testing/memory_store.ts";
import { VirtualClock } from "../../dev/testing/virtual_clock.ts";
import { StoreError } from "../base/errors.ts";
import { Patience } from "./patient.ts";

const BYTES = new Uint8Array([1, 2, 3]);
const MINUTE = 60_000;

/** A store in memory whose operations fail while `fails` says so, each after a second. */
function open(maxOutageMs = 10 * MINUTE, fromTheStart = false) {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const giveUp = new AbortController();
  const it = {
    ...{ clock, store, giveUp },
    fails: (_operation: Operation, _key: string): boolean => false,
    says: "503",
    asked: [] as string[],
    notes: [] as string[],
    since: undefined as number | undefined,
    what: undefined as string | undefined,
    patience: undefined as unknown as Patience,
  };
  store.before = async (operation, key) => {
    it.asked.push(`${operation} ${key}`);
    if (!it.fails(operation, key)) return;
    await clock.sleep(1_000);
    throw new StoreError("unavailable", `Cannot ${operation} ${store.url}/${key}: ${it.says}`);
  };
  it.patience = new Patience({
    ...{ maxOutageMs, clock, giveUp: giveUp.signal, fromTheStart },
    random: () => 0.5,
    note: (message) => it.notes.push(message),
    onChange: (since, what) => [it.since, it.what] = [since, what],
  });
  return it;
}

const unavailable = (error: unknown) => error instanceof StoreError && error.kind === "unavailable";

Deno.test("an outage is waited out by everybody, with one that looks, and said twice", async () => {
  const it = open();
  const store = it.patience.wrap(it.store);
  await store.write("x", BYTES);
  const until = it.clock.now() + 3 * MINUTE;
  it.fails = () => it.clock.now() < until;
  const all = Array.from({ length: 50 }, (_, n) => store.write(`a${n}`, BYTES));
  await it.clock.run(Promise.all(all));
  assert.equal(it.store.objects.size, 51);
  assert.ok(it.clock.now() - until < 12_000, "it takes long to notice that it is over");
  const looks = it.asked.filter((what) => what.startsWith("stat")).length;
  assert.ok(looks > 10 && looks < 30, `${looks} looks`);
  assert.equal(it.notes.length, 2, it.notes.join("\n"));
  assert.match(it.notes[0], /^the store fails .*up to 10 minutes; no page is asked for meanwhile$/);
  assert.match(it.notes[1], /^the store answers again after 18\d s: going on$/);
  assert.equal(it.since, undefined);
});

Deno.test("while a store is down, `down` says so and `up` waits", async () => {
  const it = open();
  const store = it.patience.wrap(it.store);
  await it.patience.up();
  await store.write("x", BYTES);
  const begin = it.clock.now();
  it.fails = () => it.clock.now() < begin + MINUTE;
  const writing = store.write("y", BYTES);
  await it.clock.run(it.clock.sleep(2_000));
  assert.equal(it.patience.down, true);
  assert.equal(it.since, begin + 1_000);
  await it.clock.run(it.patience.up());
  assert.ok(it.clock.now() >= begin + MINUTE);
  await it.clock.run(writing);
  assert.equal(it.patience.down, false);
});

Deno.test("an outage that lasts too long ends every operation, each tried once more", async () => {
  const it = open(MINUTE);
  const store = it.patience.wrap(it.store);
  await store.write("x", BYTES);
  it.fails = () => true;
  const begin = it.clock.now();
  await assert.rejects(it.clock.run(store.read("x")), unavailable);
  assert.ok(it.clock.now() - begin < MINUTE + 12_000);
  await assert.rejects(it.clock.run(it.patience.up()), /down since \d\d:\d\d:\d\d UTC/);
  it.asked.length = 0;
  await assert.rejects(it.clock.run(store.write("y", BYTES)), unavailable);
  assert.deepEqual(it.asked, ["write y"]);
  it.fails = () => false;
  await store.write("y", BYTES);
  assert.equal(it.patience.down, false);
});

Deno.test("a given-up wait ends at once, and so does one whose signal aborts", async () => {
  const it = open();
  const store = it.patience.wrap(it.store);
  await store.write("x", BYTES);
  it.fails = () => true;
  const stop = new AbortController();
  const reading = store.read("x", { signal: stop.signal }).catch((error) => error);
  const writing = store.write("y", BYTES).catch((error) => error);
  await it.clock.run(it.clock.sleep(30_000));
  const reason = new Error("stopped");
  stop.abort(reason);
  assert.equal(await it.clock.run(reading), reason);
  it.giveUp.abort(new Error("given up"));
  const begin = it.clock.now();
  assert.ok(unavailable(await it.clock.run(writing)));
  assert.ok(it.clock.now() - begin <= 2_000);
});

Deno.test("a store that has never answered is not waited for", async () => {
  const it = open();
  it.fails = () => true;
  const begin = it.clock.now();
  await assert.rejects(it.clock.run(it.patience.wrap(it.store).stat("x")), unavailable);
  assert.equal(it.clock.now() - begin, 1_000);
  assert.deepEqual(it.notes, []);
});

Deno.test("a job that nobody watches waits for it from the start, unless its name is unknown", async () => {
  for (const known of [true, false]) {
    const it = open(10 * MINUTE, true);
    const begin = it.clock.now();
    it.fails = () => it.clock.now() < begin + MINUTE;
    it.says = known ? "ECONNREFUSED" : "getaddrinfo ENOTFOUND s3.example.com";
    const asked = it.clock.run(it.patience.wrap(it.store).stat("x"));
    if (known) assert.equal(await asked, undefined);
    else await assert.rejects(asked, /ENOTFOUND/);
    assert.deepEqual([it.clock.now() - begin > MINUTE, it.notes.length], [known, known ? 2 : 0]);
  }
});

for (const traffic of [false, true]) {
  const name = `an object that fails while others don't is refused (${traffic ? "busy" : "idle"})`;
  Deno.test(name, async () => {
    const it = open();
    const store = it.patience.wrap(it.store);
    for (const key of ["bad", "good"]) await store.write(key, BYTES);
    it.fails = (operation, key) => operation === "read" && key === "bad";
    let over = false;
    const others = (async () => {
      while (traffic && !over) {
        await store.read("good");
        await it.clock.sleep(100);
      }
    })();
    const begin = it.clock.now();
    const error = await it.clock.run(store.read("bad").catch((error) => error));
    over = true;
    await it.clock.run(others);
    assert.ok(error instanceof StoreError && error.kind === "refused", String(error));
    assert.match(error.message, /503; the store answers for other objects$/);
    assert.ok(it.clock.now() - begin < 30_000);
    assert.equal(it.patience.down, false);
    if (traffic) assert.deepEqual(it.notes, []);
  });
}

Deno.test("many objects that fail together are an outage, not so many bad objects", async () => {
  const it = open(MINUTE);
  const store = it.patience.wrap(it.store);
  await store.write("x", BYTES);
  it.fails = (operation) => operation === "read";
  const all = Array.from({ length: 10 }, (_, n) => store.read(`a${n}`).catch((error) => error));
  for (const error of await it.clock.run(Promise.all(all))) assert.ok(unavailable(error));
});

Deno.test("many objects that fail together are so many bad objects where one read before can be read", async () => {
  for (const maxOutageMs of [MINUTE / 2, 10 * MINUTE]) {
    const it = open(maxOutageMs);
    const store = it.patience.wrap(it.store);
    await store.write("good", BYTES);
    await store.read("good");
    const begin = it.clock.now();
    it.fails = (operation, key) => operation === "read" && key !== "good";
    const all = Array.from({ length: 10 }, (_, n) => store.read(`a${n}`).catch((error) => error));
    for (const error of await it.clock.run(Promise.all(all))) assert.equal(error.kind, "refused");
    assert.ok(it.clock.now() - begin < MINUTE);
    assert.ok(it.asked.filter((what) => what === "read good").length < 40);
    assert.equal(it.patience.down, false);
    // With that gone bad, too, it is the store.
    it.fails = (operation) => operation === "read";
    assert.ok(unavailable(await it.clock.run(store.read("a0").catch((error) => error))));
  }
});

Deno.test("a listing that breaks off goes on behind what it gave; one without order ends", async () => {
  const it = open();
  const keys = ["a", "b", "c\u{10000}", "c\uffff", "d"];
  const list = async (order: readonly string[]) => {
    let broken = false;
    it.store.list = async function* () {
      for (const key of order) {
        if (key === "d" && !broken) {
          broken = true;
          throw new StoreError("unavailable", "503");
        }
        yield await Promise.resolve({ key, size: 1, etag: key });
      }
    };
    const store = it.patience.wrap(it.store);
    await store.write("x", BYTES);
    return await it.clock.run(Array.fromAsync(store.list("")));
  };
  // By bytes U+FFFF comes before U+10000.
  const sorted = ["a", "b", "c\uffff", "c\u{10000}", "d"];
  assert.deepEqual((await list(sorted)).map(({ key }) => key), sorted);
  await assert.rejects(list(["b", ...keys]), unavailable);
});

Deno.test("a listing goes on after an outage, giving each object once; a read admits once", async () => {
  const it = open();
  const store = it.patience.wrap(it.store);
  for (let n = 0; n < 5; n++) await store.write(`a${n}`, BYTES);
  let failed = 0;
  it.fails = (operation) => operation !== "stat" && failed++ === 0;
  const listed = await it.clock.run(Array.fromAsync(store.list("a")));
  assert.deepEqual(listed.map(({ key }) => key), ["a0", "a1", "a2", "a3", "a4"]);
  failed = 0;
  let admitted = 0;
  await it.clock.run(store.read("a0", {
    admit: () => {
      admitted++;
      return Promise.resolve();
    },
  }));
  assert.equal(admitted, 1);
});

Deno.test("a conditional write keeps its id over all its tries", async () => {
  const it = open();
  const ids: (string | undefined)[] = [];
  const write = it.store.write.bind(it.store);
  it.store.write = (key, bytes, options) => {
    ids.push(options?.id);
    return write(key, bytes, options);
  };
  const store = it.patience.wrap(it.store);
  await store.write("x", BYTES);
  let failed = 0;
  it.fails = (operation) => operation === "write" && failed++ < 2;
  await it.clock.run(store.write("y", BYTES, { onlyIf: "absent" }));
  assert.deepEqual(ids, [undefined, ids[1], ids[1], ids[1]]);
  assert.ok(ids[1]);
});

/** Lets writes fail as on a disk that is full while `full` says so. */
function fill(it: ReturnType<typeof open>, full: () => boolean): void {
  it.store.before = (operation, key) => {
    it.asked.push(`${operation} ${key}`);
    const fails = operation === "write" && full();
    return fails
      ? Promise.reject(new StoreError("unwritable", `Cannot write ${key}: the disk is full`))
      : Promise.resolve();
  };
}

Deno.test("a store that can't be written any more is waited for, said twice, while reading goes on", async () => {
  const it = open();
  const store = it.patience.wrap(it.store);
  await store.write("x", BYTES);
  const begin = it.clock.now();
  fill(it, () => it.clock.now() < begin + MINUTE);
  const writing = Promise.all(["a", "b", "c"].map((key) => store.write(key, BYTES)));
  await it.clock.run(it.clock.sleep(2_000));
  assert.deepEqual([it.patience.down, it.since, it.what], [true, begin, "unwritable"]);
  assert.equal((await store.read("x")).bytes.length, 3);
  assert.equal(it.patience.down, true, "that it can be read does not show that it can be written");
  await it.clock.run(it.patience.up());
  assert.ok(it.clock.now() >= begin + MINUTE);
  await it.clock.run(writing);
  assert.deepEqual([it.patience.down, it.since, it.store.objects.size], [false, undefined, 4]);
  assert.equal(it.notes.length, 2, it.notes.join("\n"));
  assert.match(it.notes[0], /^nothing can be stored .*full.*10 minutes; no page is asked for/);
  assert.match(it.notes[1], /^the store can be written again after \d\d s: going on$/);
  assert.ok(it.clock.now() < begin + MINUTE + 11_000);
});

Deno.test("a store that can't be written for too long ends every write, the later ones at once", async () => {
  for (const given of ["time", "signal"]) {
    const it = open(MINUTE);
    const store = it.patience.wrap(it.store);
    await store.write("x", BYTES);
    fill(it, () => true);
    const begin = it.clock.now();
    const writing = store.write("a", BYTES);
    if (given === "signal") it.clock.sleep(5_000).then(() => it.giveUp.abort());
    await assert.rejects(
      it.clock.run(writing),
      /the disk is full; the store can't be written since/,
    );
    const waited = it.clock.now() - begin;
    assert.ok(given === "time" ? waited >= MINUTE && waited < MINUTE + 11_000 : waited === 5_000);
    await assert.rejects(it.clock.run(it.patience.up()), unavailable);
    await assert.rejects(store.write("b", BYTES), unavailable);
    assert.equal(it.clock.now() - begin, waited);
    it.store.before = () => Promise.resolve();
    await store.write("b", BYTES);
  }
});

Deno.test("where nothing was ever written, a store that can't be is said at once", async () => {
  const it = open();
  const store = it.patience.wrap(it.store);
  fill(it, () => true);
  await store.stat("x");
  const refused = (error: unknown) => error instanceof StoreError && error.kind === "unwritable";
  await assert.rejects(store.write("a", BYTES), refused);
  assert.deepEqual(it.notes, []);
});

/** The same store, which refuses whatever `denies` says. */
function refusing(it: ReturnType<typeof open>, denies: (key: string) => boolean): void {
  it.store.before = (operation, key) => {
    if (denies(key)) throw new StoreError("denied", `Cannot ${operation} ${key}: 403 AccessDenied`);
  };
}

Deno.test("a store that refuses what it allowed before is waited for, writes and reads alike", async () => {
  const it = open();
  const store = it.patience.wrap(it.store);
  await store.write("responses/a", BYTES);
  await store.read("responses/a");
  const begin = it.clock.now();
  const until = begin + 30_000;
  refusing(it, () => it.clock.now() < until);
  const all = Promise.all([store.write("responses/b", BYTES), store.read("responses/a")]);
  await it.clock.run(it.clock.sleep(2_000));
  assert.deepEqual([it.patience.down, it.what], [true, "refused"]);
  await it.clock.run(all);
  assert.ok(it.clock.now() < until + 12_000);
  assert.deepEqual([it.patience.down, it.since], [false, undefined]);
  assert.match(it.notes[0], /^the store refuses what it allowed before .*403.* up to 2 minutes/);
  assert.match(it.notes[1], /^the store allows it again after 3\d s: going on$/);
});

Deno.test("a right that does not come back ends the waiting after two minutes, as no single object's trouble", async () => {
  for (const operation of ["write", "read"] as const) {
    const it = open();
    const store = it.patience.wrap(it.store);
    await store.write("images/a", BYTES);
    await store.read("images/a");
    const begin = it.clock.now();
    refusing(it, () => true);
    const ends = operation === "write" ? store.write("images/b", BYTES) : store.read("images/a");
    await assert.rejects(it.clock.run<unknown>(ends), (error: StoreError) => {
      assert.equal(error.kind, "credentials");
      assert.match(error.message, /403 AccessDenied; allowed before and refused since .*is kept/);
      return true;
    });
    const seconds = (it.clock.now() - begin) / 1_000;
    assert.ok(seconds >= 120 && seconds < 135, `${seconds} s`);
  }
});

Deno.test("an object that alone is refused, and a folder that was never allowed, are said at once", async () => {
  const it = open();
  const store = it.patience.wrap(it.store);
  for (const key of ["images/a", "images/b", "other/c"]) it.store.put(key, BYTES);
  await store.write("responses/a", BYTES);
  await store.read("images/a");
  refusing(it, (key) => key === "images/b" || /^(other|claims)\//.test(key));
  const begin = it.clock.now();
  const denied = (error: unknown) => error instanceof StoreError && error.kind === "denied";
  await assert.rejects(it.clock.run<unknown>(store.read("images/b")), denied);
  await assert.rejects(it.clock.run<unknown>(store.read("other/c")), denied);
  await assert.rejects(it.clock.run<unknown>(store.write("claims/x", BYTES)), denied);
  assert.deepEqual([it.clock.now(), it.notes], [begin, []]);
});

/** Something else is answered several times a second, until `work` is over. */
async function amid<T>({ clock, patience, store }: ReturnType<typeof open>, work: Promise<T>) {
  const all = patience.wrap(store);
  let over = false;
  const others = async () => {
    while (!over) {
      await all.read("x");
      await clock.sleep(200);
    }
  };
  const worked = work.finally(() => over = true);
  return (await clock.run(Promise.allSettled([worked, others()])))[0];
}

Deno.test("an object that alone can't be written is tried again without haste for as long as an outage may last, which is said once", async () => {
  for (const seconds of [60, Infinity]) {
    const it = open(5 * MINUTE);
    const store = it.patience.wrap(it.store);
    await store.write("x", BYTES);
    const begin = it.clock.now();
    it.fails = (_, key) => key === "bad" && it.clock.now() < begin + seconds * 1_000;
    const end = await amid(it, store.write("bad", BYTES));
    const passed = (it.clock.now() - begin) / 1_000;
    if (seconds < Infinity) {
      assert.equal(end.status, "fulfilled");
      assert.ok(passed >= 60 && passed < 100, `${passed} s`);
    } else {
      assert.ok(end.status === "rejected" && unavailable(end.reason));
      assert.ok(passed >= 300 && passed < 340, `${passed} s`);
    }
    const tries = it.asked.filter((what) => what === "write bad").length;
    assert.ok(tries > 4 && tries < 40, `${tries} tries`);
    assert.equal(it.notes.length, 1, it.notes.join());
    assert.match(it.notes[0], /write .*bad: 503: tried again for up to 5 minutes/);
  }
});

Deno.test("an object that alone can't be read is refused at the third time, and read where it can be by then", async () => {
  for (const failures of [2, 3]) {
    const it = open();
    const store = it.patience.wrap(it.store);
    for (const key of ["x", "bad"]) await store.write(key, BYTES);
    let left = failures;
    it.fails = (_, key) => key === "bad" && left-- > 0;
    const end = await amid(it, store.read("bad"));
    if (failures === 2) assert.equal(end.status, "fulfilled");
    else {
      assert.ok(end.status === "rejected" && end.reason instanceof StoreError);
      assert.equal(end.reason.kind, "refused");
      assert.match(end.reason.message, /503; the store answers for other objects$/);
    }
    assert.equal(it.asked.filter((what) => what === "read bad").length, 3);
  }
});

Deno.test("with no patience a store that fails, or can't be written, is said at once and by its own words", async () => {
  for (const kind of ["unavailable", "unwritable"] as const) {
    const it = open(0);
    const store = it.patience.wrap(it.store);
    await store.write("x", BYTES);
    it.store.before = () => {
      throw new StoreError(kind, "507 no room");
    };
    const begin = it.clock.now();
    await assert.rejects(it.clock.run(store.write("y", BYTES)), /^StoreError: 507 no room/);
    assert.equal(it.clock.now(), begin);
    assert.deepEqual(it.notes, []);
  }
});
