import assert from "node:assert/strict";
import { type Asker, Books } from "./books.ts";

function asker(name: string): Asker {
  return { name, fate: "alive", standing: false, blamed: new Set(), lanes: new Map() };
}

function open(): { books: Books; violations: string[] } {
  const violations: string[] = [];
  return { violations, books: new Books((kind) => violations.push(kind)) };
}

const STORED = new Uint8Array([1]);

Deno.test("a page that was in flight at a kill may be billed again, and its process is blamed", () => {
  const { books, violations } = open();
  const [first, second] = [asker("a"), asker("b")];
  books.bill(books.ask(first, "page", undefined));
  first.fate = "killed";
  books.bill(books.ask(second, "page", undefined));
  assert.deepEqual([books.again.kill, first.blamed.size, books.paidTwice], [1, 1, 1]);
  assert.deepEqual(violations, []);
});

Deno.test("after an end in order, by two at once, twice by one or beside a stored answer it may not", () => {
  for (const wrong of ["dropped", "parallel", "same", "stored"] as const) {
    const { books, violations } = open();
    const [first, second] = [asker("a"), asker("b")];
    books.bill(books.ask(first, "page", undefined));
    if (wrong === "dropped") first.fate = "ended";
    const by = wrong === "same" ? first : second;
    books.bill(books.ask(by, "page", wrong === "stored" ? STORED : undefined));
    assert.deepEqual([books.wrong[wrong], violations.length], [1, 1], wrong);
  }
});

Deno.test("a torn answer is asked for again once, whether or not it was moved away", () => {
  for (const left of [STORED, undefined]) {
    const { books, violations } = open();
    const first = asker("a");
    books.bill(books.ask(first, "page", undefined));
    first.fate = "killed";
    books.tear("page", STORED);
    assert.equal(books.isGood("page", STORED), false);
    books.bill(books.ask(asker("b"), "page", left));
    books.bill(books.ask(asker("c"), "page", new Uint8Array([1, 2])));
    assert.deepEqual([books.again.torn, books.wrong.stored, violations.length], [1, 1, 1]);
  }
});

Deno.test("one probe is free for each page that failed for good, and what fails costs nothing", () => {
  const { books } = open();
  const one = asker("a");
  books.bill(books.ask(one, "good", undefined));
  books.fail(books.ask(one, "bad", undefined), true);
  books.bill(books.ask(one, "good", STORED));
  books.bill(books.ask(one, "good", STORED));
  assert.deepEqual([books.again.probe, books.wrong.stored, books.billed], [1, 1, 3]);
});

Deno.test("a lane that failed is probed for its own failures only, whatever the others answer", () => {
  const { books } = open();
  const one = asker("a");
  books.bill(books.ask(one, "good", undefined, "key 1"));
  for (const page of ["x", "y", "z"]) {
    books.fail(books.ask(one, page, undefined, "key 2"), false);
    books.bill(books.ask(one, `${page}, too`, undefined, "key 1"));
  }
  books.bill(books.ask(one, "good", STORED, "key 1"));
  books.bill(books.ask(one, "good", STORED, "key 2"));
  assert.deepEqual([books.again.probe, books.wrong.stored], [1, 1]);
});

Deno.test("of a process that stood still only what it asked for before may be billed again", () => {
  const { books } = open();
  const [stopped, other] = [asker("a"), asker("b")];
  books.bill(books.ask(stopped, "before", undefined));
  books.stall(stopped);
  books.bill(books.ask(other, "before", undefined));
  books.bill(books.ask(stopped, "on its way", undefined));
  books.bill(books.ask(other, "on its way", undefined));
  stopped.standing = false;
  books.bill(books.ask(stopped, "after", undefined));
  books.bill(books.ask(other, "after", undefined));
  assert.deepEqual([books.again.stall, books.wrong.parallel], [2, 1]);
});

Deno.test("an answer stored late by one that stood still excuses who had looked for it before", () => {
  const { books } = open();
  const [stopped, looked, blind] = [asker("a"), asker("b"), asker("c")];
  books.bill(books.ask(stopped, "page", undefined));
  books.stall(stopped);
  books.missed(looked, "page");
  books.bill(books.ask(looked, "page", STORED));
  books.bill(books.ask(blind, "page", STORED));
  assert.deepEqual([books.again.stall, books.wrong.stored], [1, 1]);
});

Deno.test("a page that is fetched later may be billed again only while its ticket is not stored, or after that was spoilt", () => {
  const { books, violations } = open();
  const accept = (name: string, page: string, inVain = false) => {
    const ask = books.ask(asker(name), page, undefined);
    books.bill(ask, { id: `${name} ${page}`, inVain });
    return { ask, later: books.accepted(`${name} ${page}`)!.later };
  };
  for (const page of ["lost", "torn", "forgotten", "kept", "vain", "answered"]) {
    const { ask, later } = accept("a", page, page === "vain");
    later.kept = page !== "lost";
    if (page === "torn") later.torn = true;
    if (page === "forgotten") later.forgotten = true;
    if (page === "answered") later.kept = false; // its ticket is removed by then
    ask.asker.fate = "killed";
    if (page === "answered") books.tear(page, STORED);
  }
  for (const page of ["lost", "torn", "forgotten", "answered"]) accept("b", page);
  const { kill, ticket, forgotten, torn } = books.again;
  assert.deepEqual([kill, ticket, forgotten, torn], [1, 1, 1, 1]);
  assert.deepEqual(violations, []);
  for (const page of ["kept", "vain"]) accept("b", page);
  assert.deepEqual([books.wrong.collectable, books.wrong.vain, violations.length], [1, 1, 2]);
  assert.deepEqual([books.isVain("vain"), books.isVain("kept")], [true, false]);
});

Deno.test("a ticket stored late by a process that stood still excuses who had looked for it before", () => {
  const { books, violations } = open();
  const [killed, stopped, looked, blind] = ["k", "a", "b", "c"].map(asker);
  books.bill(books.ask(killed, "page", undefined), { id: "lost", inVain: false });
  killed.fate = "killed";
  books.bill(books.ask(stopped, "page", undefined), { id: "first", inVain: false });
  books.stall(stopped);
  books.missed(looked, "page", "ticket");
  books.accepted("first")!.later.kept = true;
  books.bill(books.ask(looked, "page", undefined), { id: "second", inVain: false });
  assert.deepEqual([books.again.stall, violations.length], [1, 0]);
  books.bill(books.ask(blind, "page", undefined), { id: "third", inVain: false });
  assert.deepEqual([books.wrong.collectable, violations.length], [1, 1]);
});
