import assert from "node:assert/strict";
import fc from "fast-check";
import { fixedKey, type Renewal, StoredKey, storedKeys } from "./api_key.ts";
import { RunError } from "../base/errors.ts";

const signal = new AbortController().signal;

/** A secret that a test changes, and how often it was read. */
class Secret {
  value: string;
  reads = 0;
  /** Waited for before a read gives its value. */
  gate: Promise<void> = Promise.resolve();

  constructor(value: string) {
    this.value = value;
  }

  key(): StoredKey {
    return new StoredKey(this.value, "secret s", async () => {
      this.reads++;
      await this.gate;
      return this.value;
    });
  }
}

function refused(renewal: Renewal): string {
  assert.ok(!renewal.renewed, "it was renewed");
  return renewal.why ?? "";
}

Deno.test("fixedKey() is never renewed", async () => {
  const key = fixedKey("a");
  assert.deepEqual([key.value, await key.renew("a", signal)], ["a", { renewed: false }]);
});

Deno.test("StoredKey.renew() is one read for all requests that were refused together", async () => {
  const secret = new Secret("a");
  const key = secret.key();
  secret.value = "b";
  const renewals = await Promise.all(Array.from({ length: 20 }, () => key.renew("a", signal)));
  assert.ok(renewals.every(({ renewed }) => renewed));
  assert.deepEqual([key.value, secret.reads], ["b", 1]);
  // A straggler that was sent with the old key.
  assert.deepEqual(await key.renew("a", signal), { renewed: true });
  assert.equal(secret.reads, 1);
});

Deno.test("StoredKey.renew() looks once for each refused key, even if nothing came of it", async () => {
  const secret = new Secret("a");
  const key = secret.key();
  assert.match(refused(await key.renew("a", signal)), /^secret s still holds that key$/);
  assert.match(refused(await key.renew("a", signal)), /still holds/);
  assert.equal(secret.reads, 1);
});

Deno.test("StoredKey.renew() gives up on a key that is refused right after it was read", async () => {
  const secret = new Secret("a");
  const key = secret.key();
  secret.value = "b";
  await key.renew("a", signal);
  key.accepted("a"); // an answer to a request with the old key says nothing of the new one
  secret.value = "c";
  assert.match(refused(await key.renew("b", signal)), /new key that secret s was found to hold/);
  assert.deepEqual([key.value, secret.reads], ["b", 1]);
});

Deno.test("StoredKey.renew() works again for every later rotation, and back to an earlier key", async () => {
  const secret = new Secret("a");
  const key = secret.key();
  for (const next of ["b", "c", "a", "b"]) {
    key.accepted(key.value);
    secret.value = next;
    assert.deepEqual(await key.renew(key.value, signal), { renewed: true });
    assert.equal(key.value, next);
  }
  assert.equal(secret.reads, 4);
});

Deno.test("StoredKey.renew() passes on why a read failed, to all who wait, after one read", async () => {
  const error = new RunError("usage", "cannot read secret s: denied");
  let reads = 0;
  const key = new StoredKey("a", "secret s", () => {
    reads++;
    return Promise.reject(error);
  });
  for (const result of await Promise.allSettled([key.renew("a", signal), key.renew("a", signal)])) {
    assert.ok(result.status === "rejected" && result.reason === error);
  }
  assert.deepEqual([reads, key.value], [1, "a"]);
});

Deno.test("StoredKey.renew() waits no longer than its signal lets it", async () => {
  const gate = Promise.withResolvers<void>();
  const secret = new Secret("a");
  secret.gate = gate.promise;
  const key = secret.key();
  const abort = new AbortController();
  const reason = new Error("given up");
  const pending = key.renew("a", abort.signal);
  abort.abort(reason);
  await assert.rejects(pending, (error) => error === reason);
  await assert.rejects(key.renew("a", abort.signal), (error) => error === reason);
  gate.resolve();
});

Deno.test("StoredKey ends every request with a good key or an end, in at most one read a refusal", async () => {
  await fc.assert(
    fc.asyncProperty(
      // Whether the secret is changed together with what the API takes, before each request.
      fc.array(fc.constantFrom("calm", "rotated", "revoked", "wrong"), { maxLength: 20 }),
      fc.integer({ min: 1, max: 5 }),
      async (script, together) => {
        const secret = new Secret("key-0");
        const key = secret.key();
        let good = "key-0";
        let bad = false; // since a revoked or wrong key nothing works any more
        let changes = 0;
        for (const [i, event] of script.entries()) {
          if (event !== "calm") {
            changes++;
            good = `key-${i + 1}`;
            if (event === "rotated") secret.value = good;
            if (event === "wrong") secret.value = `wrong-${i}`;
            bad = event !== "rotated";
          }
          const ask = async (): Promise<boolean> => {
            for (let sent = 0; sent < 3; sent++) {
              const used = key.value;
              await Promise.resolve();
              if (used === good) {
                key.accepted(used);
                return true;
              }
              if (!(await key.renew(used, signal)).renewed) return false;
            }
            throw new Error("it asks for ever");
          };
          const worked = await Promise.all(Array.from({ length: together }, ask));
          assert.deepEqual(new Set(worked), new Set([!bad]));
          if (bad) break;
        }
        assert.ok(secret.reads <= changes, `${secret.reads} reads after ${changes} changes`);
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("StoredKey.renew() looks again once the key was taken by a request sent after the last look", async () => {
  const secret = new Secret("a");
  const key = secret.key();
  const before = key.look;
  assert.match(refused(await key.renew("a", signal)), /still holds/); // one page's own refusal
  key.accepted("a", before); // sent before: it may have been taken just before the key was revoked
  assert.match(refused(await key.renew("a", signal)), /still holds/);
  assert.equal(secret.reads, 1);
  key.accepted("a", key.look);
  secret.value = "b";
  assert.deepEqual(await key.renew("a", signal), { renewed: true });
  assert.deepEqual([key.value, secret.reads], ["b", 2]);
});

Deno.test("storedKeys(): a refused key gives way to one that none of the others is", async () => {
  let secret = ["a", "b", "c"];
  const read = () => Promise.resolve(secret);
  const [a, b, c] = storedKeys(["a", "b", "c"], "secret s", read);
  assert.match(refused(await a.renew("a", signal)), /still holds that key/);
  a.accepted("a");
  secret = ["d", "b", "c"];
  assert.deepEqual(await b.renew("b", signal), { renewed: true });
  assert.equal(b.value, "d");
  secret = ["d", "c"];
  assert.match(refused(await c.renew("c", signal)), /still holds that key/);
  secret = ["d"];
  const [, other] = storedKeys(["d", "x"], "secret s", read);
  assert.match(refused(await other.renew("x", signal)), /secret s holds no other key/);
});
