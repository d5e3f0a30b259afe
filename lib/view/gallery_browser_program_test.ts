import assert from "node:assert/strict";
import type { AgreementRow } from "../dataset/agreement_rows.ts";
import { writeAgreement } from "../state/agreement.ts";
import { defaultOutputKey } from "../state/keys.ts";
import { openFolder } from "../store/folder.ts";
import type { Store } from "../store/store.ts";
import { type Browser, findChromium, startBrowser, type Tab } from "../../dev/testing/browser.ts";
import { type Page, putLabelled } from "../../dev/testing/labelled.ts";
import { slopeJpeg } from "../../dev/testing/pictures.ts";
import { runProgram, startProgram } from "../../dev/testing/program.ts";

const HOSTILE = `</script><script>alert(1)</script><img src=x onerror=alert(2)>"'\u202e 합계 ₩`;
const HOSTILE_ID = `영수증/<b onmouseover=alert(3)>\u202e1`;

/** A word in the left upper quarter of a page of 400 × 600, and one that is in doubt. */
const words = [
  { text: "first", box: [0, 0, 200, 300] as const },
  { text: "합계", confidence: 0.3, box: [300, 500, 80, 40] as const },
];
const PAGES: Page[] = [
  { id: "plain", imagePath: "images/plain.jpg", words, size: [400, 600], confidence: 0.5 },
  { id: "turned", imagePath: "images/turned.jpg", words, size: [400, 600], confidence: 0.51 },
  {
    id: "as stored",
    imagePath: "images/turned.jpg",
    // The same word as the API sees it that doesn't turn the picture by a quarter clockwise.
    words: [{ text: "first", box: [0, 200, 300, 200] }],
    size: [600, 400],
    confidence: 0.52,
  },
  {
    id: HOSTILE_ID,
    imagePath: "images/plain.jpg",
    words: [{ text: HOSTILE, box: [10, 10, 50, 20] }, { text: "\0\x1b[2J", confidence: null }],
    size: [400, 600],
    confidence: 0.53,
  },
  {
    id: "dense",
    imagePath: "images/plain.jpg",
    words: Array.from({ length: 10_000 }, (_, i) => ({
      text: `단어 ${i}`,
      confidence: i % 100 / 100,
      box: [i % 100 * 4, Math.floor(i / 100) * 6, 3, 4] as const,
    })),
    size: [400, 600],
    confidence: 0.54,
  },
  { id: "blank", imagePath: "images/plain.jpg", confidence: 0.9 },
  { id: "broken", imagePath: "images/gone.jpg", failure: ["image_not_found", HOSTILE] },
];

const text = (selector: string) =>
  `document.querySelector(${JSON.stringify(selector)}).textContent`;
const here = (id: string) => `${text("#name")} === ${JSON.stringify(id)}`;
const drawn = `document.querySelector("#img").complete`;

/** Another engine reads the second word of each page otherwise, and the first hostile one. */
async function putAgreement(store: Store): Promise<void> {
  const { key, etag, size } = (await store.stat(defaultOutputKey("demo")))!;
  async function* rows(): AsyncGenerator<AgreementRow> {
    for (const [index, page] of PAGES.entries()) {
      const words = page.words ?? [];
      const failed = page.failure !== undefined;
      yield await Promise.resolve({
        ...{ id: page.id ?? `row-${index}`, sha256: null, state: failed ? "failed" : "compared" },
        ...{ agreement: failed ? null : 0.5, onlyOther: failed ? null : 2 },
        words: words.map(({ text }, i) => text === HOSTILE || i === 1 ? 0.5 : 1),
        others: words.map(({ text }, i) =>
          text === HOSTILE ? `${HOSTILE}!` : i === 1 ? null : text
        ),
      });
    }
  }
  const [a, b] = ["ocr", "other"].map((model) => ({ engine: "upstage-ocr", model }));
  await writeAgreement(
    store,
    {
      ...{ format: "pseudolabel-agreement-rows/1", dataset: "demo", a, b },
      output: { key, etag, bytes: size, rows: PAGES.length },
    },
    rows(),
    new AbortController().signal,
  );
}

/** Nothing that a text says has become an element, an attribute or a dialog. */
async function assertHarmless(tab: Tab): Promise<void> {
  assert.deepEqual(tab.complaints, []);
  const found = await tab.evaluate(`[...document.querySelectorAll("*")].filter((element) =>
    element.matches("script:not([type]), b[onmouseover], img:not(#img)") &&
      !(element.localName === "script" && element.parentNode === document.body) ||
    [...element.attributes].some(({ name }) => name.startsWith("on"))
  ).map((element) => element.outerHTML.slice(0, 100))`);
  assert.deepEqual(found, []);
}

/** Where the first box lies on the picture, as shares of it. */
const boxOnPicture = `(() => {
  const [box, picture] = ["#boxes polygon[data-i='0']", "#img"]
    .map((selector) => document.querySelector(selector).getBoundingClientRect());
  return [
    (box.left - picture.left) / picture.width, (box.top - picture.top) / picture.height,
    (box.right - picture.left) / picture.width, (box.bottom - picture.top) / picture.height,
  ].map((share) => Math.round(share * 100) / 100);
})()`;

/** What a page must keep to at each size: nothing sticks out, and dark is dark. */
async function assertFits(tab: Tab): Promise<void> {
  for (const [width, height] of [[390, 844], [1_280, 900], [1_920, 1_080]]) {
    const shades: number[] = [];
    for (const scheme of ["light", "dark"] as const) {
      await tab.show(width, height, scheme);
      const over = await tab.evaluate("document.documentElement.scrollWidth - innerWidth");
      assert.ok(over <= 0, `${width} pixels, ${scheme}: ${over} stick out`);
      const colour: string = await tab.evaluate("getComputedStyle(document.body).backgroundColor");
      shades.push(Number(/\d+/.exec(colour)![0]));
    }
    assert.ok(shades[0] > 200 && shades[1] < 60, `${shades}`);
  }
  await tab.show(1_280, 900);
}

const chromium = findChromium();
if (!chromium) console.log("no Chromium is installed: the tests in a browser are left out");

Deno.test({
  name: "the gallery and the report in a real browser, served by the program and as a file",
  ignore: !chromium,
  async fn(t) {
    const folder = await Deno.makeTempDir();
    await using stack = new AsyncDisposableStack();
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    const store = openFolder(folder);
    await putLabelled(store, "demo", PAGES);
    await putAgreement(store);
    await store.write("images/plain.jpg", await slopeJpeg(400, 600));
    await store.write("images/turned.jpg", await slopeJpeg(600, 400, 6));
    const args = ["--dataset-name", "demo", "--store", folder];
    assert.equal((await runProgram(["report", ...args])).code, 0);
    const gallery = startProgram(["gallery", ...args, "--sample", "--reviewer", "kim"]);
    const link = await gallery.printed(/^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\/gallery\.html$/m);
    const browser: Browser = stack.use(await startBrowser(chromium!));
    const tab = await browser.open();
    await tab.show(1_280, 900);
    await tab.goto(link);

    await t.step("pages go by with the keys, failed and empty ones as what they are", async () => {
      await tab.until(`${here("plain")} && ${drawn}`);
      assert.equal(await tab.evaluate(text("#where")), "1 of 7");
      await tab.press("ArrowRight");
      await tab.until(here("turned"));
      await tab.press("End");
      await tab.until(here("broken"));
      assert.match(await tab.evaluate(text("#notice")), /This page was not read: <\/script>/);
      assert.equal(await tab.evaluate("document.querySelector('#sheet').hidden"), true);
      await tab.press("ArrowLeft");
      await tab.until(here("blank"));
      assert.match(await tab.evaluate(text("#notice")), /no words were found/);
      await tab.press("Home");
      await tab.until(here("plain"));
    });

    await t.step("a word leads to its box and a box to its word", async () => {
      await tab.until(`${here("plain")} && ${drawn}`);
      await tab.press("n"); // the doubtful one
      const chosen = "[...document.querySelectorAll('.sel')].map((e) => e.dataset.i).join()";
      assert.equal(await tab.evaluate(chosen), "1,1");
      await tab.click("#boxes polygon[data-i='0']");
      assert.equal(await tab.evaluate(chosen), "0,0");
      await tab.press("j");
      assert.equal(await tab.evaluate(chosen), "1,1");
      await tab.click("#wordlist li[data-i='0']");
      assert.equal(await tab.evaluate(chosen), "0,0");
    });

    await t.step(
      "what another engine has read stands beside a word, and d leads to it",
      async () => {
        await tab.until(here("plain"));
        assert.match(
          await tab.evaluate(text("#facts")),
          /agreement 0\.50 · the other engine has 2 more/,
        );
        await tab.press("Escape");
        await tab.press("d");
        assert.equal(await tab.evaluate("document.querySelector('#wordlist .sel').dataset.i"), "1");
        assert.equal(await tab.evaluate(text("#wordlist .sel .other")), "≠ nothing");
        assert.equal(await tab.evaluate("document.querySelectorAll('#wordlist .other').length"), 1);
      },
    );

    await t.step("boxes lie right on a turned picture, whichever way the API saw it", async () => {
      for (const id of ["plain", "turned", "as stored"]) {
        const row = PAGES.findIndex((page) => page.id === id);
        await tab.goto(`${link}#row=${row}`);
        await tab.until(
          `${here(id)} && ${drawn} && document.querySelector("#img").naturalWidth > 0`,
        );
        const size = "[document.querySelector('#img').naturalWidth, " +
          "document.querySelector('#img').naturalHeight]";
        assert.deepEqual(await tab.evaluate(size), [400, 600], id);
        assert.deepEqual(await tab.evaluate(boxOnPicture), [0, 0, 0.5, 0.5], id);
        await tab.press("+");
        assert.deepEqual(await tab.evaluate(boxOnPicture), [0, 0, 0.5, 0.5], `${id}, larger`);
      }
    });

    await t.step("hostile ids and texts are shown as what they are", async () => {
      await tab.goto(`${link}#row=3`);
      await tab.until(`${here(HOSTILE_ID)} && ${drawn}`);
      assert.equal(await tab.evaluate(text("#wordlist li bdi")), HOSTILE);
      await tab.evaluate(`document.querySelector("#boxes polygon").dispatchEvent(
        new PointerEvent("pointermove", { bubbles: true, clientX: 300, clientY: 300 }))`);
      assert.ok((await tab.evaluate(text("#tip"))).startsWith(HOSTILE));
      assert.equal(await tab.evaluate(text("#wordlist .other")), `≠ ${HOSTILE}!`);
      await assertHarmless(tab);
      await assertFits(tab);
    });

    await t.step("a page of 10,000 words is filtered while looking", async () => {
      await tab.goto(`${link}#row=4`);
      await tab.until(`${here("dense")} && document.querySelectorAll("polygon").length === 10_000`);
      await tab.evaluate(`document.querySelector("#below").value = 30;
        document.querySelector("#below").dispatchEvent(new Event("input"))`);
      assert.equal(await tab.evaluate(text("#count")), "3,000 of 10,000 words");
      assert.equal(await tab.evaluate("document.querySelectorAll('.off').length"), 7_000);
      await tab.press("]");
      assert.equal(await tab.evaluate(text("#count")), "3,500 of 10,000 words");
      await tab.press("s");
      assert.equal(await tab.evaluate(text("#wordlist .conf")), "0.00");
      await tab.press("j");
      await tab.until("document.querySelectorAll('.sel').length === 2");
    });

    await t.step("m marks a page with a note, which is stored and can be taken back", async () => {
      const marks = async () => {
        const { bytes } = await store.read("reviews/demo/marks.json");
        return JSON.parse(new TextDecoder().decode(bytes)).marks;
      };
      await tab.goto(`${link}#row=3`);
      await tab.until(here(HOSTILE_ID));
      await tab.press("m");
      await tab.type("절반이 없다 <b>");
      await tab.press("Enter");
      await tab.until(`!document.querySelector("#marked").hidden`);
      assert.equal(await tab.evaluate(text("#marked")), "Marked wrong: 절반이 없다 <b> (kim)");
      const [mark] = await marks();
      assert.deepEqual([mark.id, mark.note, mark.by, mark.row], [
        ...[HOSTILE_ID, "절반이 없다 <b>", "kim", 3],
      ]);
      // Keys that are typed into a note turn no pages.
      await tab.press("m");
      await tab.press("ArrowRight");
      assert.equal(await tab.evaluate(here(HOSTILE_ID)), true);
      await tab.click("#unmark");
      await tab.until(`document.querySelector("#marked").hidden`);
      assert.deepEqual(await marks(), []);
    });

    await t.step(
      "e, x and a put words right, c keeps them as a truth that evaluate takes",
      async () => {
        // How words differ from what was read, whatever the pointer lights up.
        const state = `[...document.querySelectorAll("#wordlist li")]
        .sort((a, b) => a.dataset.i - b.dataset.i).map((item) => {
          const kind = ["edited", "removed"].filter((name) => item.classList.contains(name));
          return [item.querySelector("bdi").textContent, ...kind].join(":");
        }).join()`;
        const line = text("#checkline span");
        await tab.evaluate(`document.querySelector("#below").value = 100;
        document.querySelector("#below").dispatchEvent(new Event("input"))`);
        await tab.goto(`${link}#row=0`);
        await tab.until(`${here("plain")} && ${drawn}`);
        await tab.click("#wordlist li[data-i='1']");
        await tab.press("e");
        await tab.evaluate("document.querySelector('#wordtext').select()");
        await tab.type("<b>총액");
        await tab.press("Enter");
        await tab.click("#wordlist li[data-i='0']");
        await tab.press("x");
        await tab.press("a");
        await tab.evaluate(`(() => {
        const sheet = document.querySelector("#sheet");
        const { left, top, width, height } = sheet.getBoundingClientRect();
        const send = (to, type, x, y) => to.dispatchEvent(new PointerEvent(type, { bubbles: true,
          button: 0, clientX: left + x * width, clientY: top + y * height }));
        send(sheet, "pointerdown", 0.75, 0.25);
        send(window, "pointermove", 0.5, 0.5);
        send(window, "pointerup", 0.5, 0.5);
      })()`);
        await tab.type("missed");
        await tab.press("Enter");
        const wanted = "first:removed,<b>총액:edited,missed:edited";
        await tab.until(`${state} === ${JSON.stringify(wanted)}`);
        const counts = "1 put right, 1 taken away, 1 added";
        assert.equal(
          await tab.evaluate(line),
          `Not kept yet: ${counts}. c keeps the page as checked.`,
        );
        // Paging on and back loses nothing.
        await tab.press("ArrowRight");
        await tab.until(here("turned"));
        await tab.press("ArrowLeft");
        await tab.until(here("plain"));
        await tab.press("c");
        await tab.until(`${line} === "Checked by kim: ${counts}"`);
        const kept = async () => {
          const found: { key: string }[] = [];
          for await (const each of store.list("reviews/demo/pages/")) found.push(each);
          return await Promise.all(
            found.map(async ({ key }) =>
              JSON.parse(new TextDecoder().decode((await store.read(key)).bytes))
            ),
          );
        };
        const [page] = await kept();
        assert.deepEqual([page.id, page.by, page.picked, page.width, page.height], [
          ...["plain", "kim", "sample", 400, 600],
        ]);
        assert.deepEqual(
          page.words.map((word: { text: string }) => word.text),
          ["<b>총액", "missed"],
        );
        const [[x, y], , [right, bottom]] = page.words[1].polygon;
        for (const [is, should] of [[x, 200], [y, 150], [right, 300], [bottom, 300]]) {
          assert.ok(Math.abs(is - should) <= 2, `${page.words[1].polygon}`);
        }
        await tab.goto(`${link}#row=1`);
        await tab.until(here("turned"));
        await tab.goto(`${link}#row=0`);
        await tab.until(
          `${here("plain")} && ${state} === ${JSON.stringify(wanted)}`,
        );
        await assertHarmless(tab);
        const held = await runProgram(["evaluate", ...args, "--truth", "reviews", "--json"]);
        assert.equal(held.code, 0, held.stderr);
        const { overall: { detection, end_to_end }, truth } = JSON.parse(held.stdout);
        assert.deepEqual([truth.format, truth.pages, truth.picked_as_doubtful], ["reviews", 1, 0]);
        // Of two words one was found, and read wrongly; another one is where nothing is.
        assert.deepEqual([detection.truths, detection.detections, detection.matched], [2, 2, 1]);
        assert.equal(end_to_end.matched, 0);
        await tab.click("#uncheck");
        await tab.until(`${state} === "first,합계"`);
        assert.deepEqual(await kept(), []);
      },
    );

    await t.step("the report leads into the gallery, and runs no script", async () => {
      await tab.goto(link.replace("gallery.html", "report.html"));
      assert.match(await tab.evaluate(text("h1")), /demo/);
      assert.equal(await tab.evaluate("document.scripts.length"), 0);
      await assertHarmless(tab);
      await assertFits(tab);
      await tab.click(".pages a[href='gallery.html#row=4']");
      await tab.until(here("dense"));
    });

    await t.step(
      "the file shows the same without a server, and Ctrl-C ends the gallery",
      async () => {
        gallery.kill("SIGINT");
        const { code, stderr } = await gallery.ended;
        assert.equal(code, 0, stderr);
        assert.doesNotMatch(stderr, /again|stopp/);
        const out = await runProgram(["gallery", ...args, "--out", "store", "--sample"]);
        assert.equal(out.code, 0, out.stderr);
        const before = tab.complaints.length;
        await tab.goto(`file://${folder}/reports/demo/gallery.html`);
        await tab.until(
          `${here("plain")} && ${drawn} && document.querySelector("#img").naturalWidth`,
        );
        assert.deepEqual(await tab.evaluate(boxOnPicture), [0, 0, 0.5, 0.5]);
        await tab.press("ArrowRight");
        await tab.until(`${here("turned")} && ${drawn}`);
        assert.deepEqual(await tab.evaluate(boxOnPicture), [0, 0, 0.5, 0.5]);
        await tab.goto(`file://${folder}/reports/demo/gallery.html#row=3`);
        await tab.until(here(HOSTILE_ID));
        assert.deepEqual(tab.complaints.slice(before), []);
      },
    );
  },
});
