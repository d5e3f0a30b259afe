import assert from "node:assert/strict";
import fc from "fast-check";
import {
  bmp,
  chunk,
  heicHeader,
  join,
  jpegHeader,
  number,
  oriented,
  photo,
  segment,
  tiff,
  tiffHeader,
  webpHeader,
} from "../../dev/testing/images.ts";
import { type HeaderResult, type RangedRead, readHeader, uprightSize } from "./header.ts";
import { withoutTurn } from "./upright.ts";
import { MAX_BYTES, MAX_READS } from "./ranges.ts";

/** Reads of a file in memory, counted. */
function file(bytes: Uint8Array): { read: RangedRead; reads: number; bytes: number } {
  const log = {
    reads: 0,
    bytes: 0,
    read(start: number, end: number) {
      log.reads++;
      log.bytes += end - start;
      return Promise.resolve(bytes.subarray(start, end));
    },
  };
  return log;
}

async function header(bytes: Uint8Array) {
  const { header, problem } = await readHeader(file(bytes).read);
  assert.ok(header, problem?.message);
  return header;
}

async function short(bytes: Uint8Array): Promise<string> {
  const { type, width, height, orientation } = await header(bytes);
  return `${type} ${width}x${height} ${orientation}`;
}

async function problem(bytes: Uint8Array): Promise<string> {
  const { problem } = await readHeader(file(bytes).read);
  return `${problem?.kind}: ${problem?.message}`;
}

Deno.test("readHeader() reads type, size and orientation of every kind, in one read", async () => {
  const kinds: [bytes: Uint8Array, is: string][] = [
    [jpegHeader(300, 200), "image/jpeg 300x200 1"],
    [await photo("image/jpeg", 33, 21), "image/jpeg 33x21 1"],
    [await photo("image/png", 33, 21), "image/png 33x21 1"],
    [await photo("image/webp", 33, 21), "image/webp 33x21 1"],
    [webpHeader(70_000, 16), "image/webp 70000x16 1"],
    [
      join("RIFF", [9, 0, 0, 0], "WEBPVP8L", [9, 0, 0, 0, 0x2f, 0x20, 0x40, 5, 0], [0, 0, 0, 0, 0]),
      "image/webp 33x22 1",
    ],
    [bmp(33, 21), "image/bmp 33x21 1"],
    [bmp(33, -21), "image/bmp 33x21 1"],
    [
      join("BM", new Uint8Array(12), number(12, 4, true), [33, 0, 21, 0], new Uint8Array(8)),
      "image/bmp 33x21 1",
    ],
    [tiff(3, 2, new Uint8Array(18)), "image/tiff 3x2 1"],
    [
      tiffHeader([[[256, 70_000], [257, 21], [274, 6]]], { little: false }),
      "image/tiff 70000x21 6",
    ],
    [heicHeader(4_032, 3_024), "image/heic 4032x3024 1"],
    [join("GIF89a", [33, 0, 21, 0], new Uint8Array(9)), "image/gif 33x21 1"],
  ];
  for (const [bytes, is] of kinds) {
    const log = file(bytes);
    const { header } = await readHeader(log.read);
    assert.equal(`${header?.type} ${header?.width}x${header?.height} ${header?.orientation}`, is);
    assert.equal(log.reads, 1, is);
  }
});

Deno.test("readHeader() reads all eight orientations, of JPEG, PNG, WebP and TIFF alike", async () => {
  const png = await photo("image/png", 30, 20);
  for (let n = 1; n <= 8; n++) {
    for (
      const bytes of [
        jpegHeader(30, 20, { orientation: n }),
        oriented(png, n),
        webpHeader(30, 20, { orientation: n }),
        tiffHeader([[[256, 30], [257, 20], [274, n]]], { little: n % 2 === 0 }),
      ]
    ) {
      const found = await header(bytes);
      assert.equal(found.orientation, n, found.type);
      // One byte less of it, and it is upright as it is stored.
      assert.equal(found.orientationAt !== undefined, n > 1 && found.type !== "image/png");
      if (found.orientationAt !== undefined) {
        const { orientation, width, height } = await header(
          withoutTurn(bytes, found.orientationAt),
        );
        assert.deepEqual([orientation, width, height], [1, 30, 20], found.type);
      }
      assert.deepEqual(
        uprightSize(found),
        n < 5 ? { width: 30, height: 20 } : { width: 20, height: 30 },
      );
    }
  }
  // What no viewer knows counts as upright.
  for (const n of [0, 9, 65_535]) {
    assert.equal((await header(jpegHeader(30, 20, { orientation: n }))).orientation, 1);
  }
});

Deno.test("readHeader() takes HEIC's primary item, turned and mirrored as its properties say", async () => {
  const turned = async (...turns: Parameters<typeof heicHeader>[2] & object) =>
    (await header(heicHeader(40, 30, turns))).orientation;
  // ISO 23008-12: irot counts quarter turns anticlockwise; EXIF 8 is one of them.
  assert.deepEqual(
    await Promise.all([0, 1, 2, 3].map((n) => turned(["irot", n]))),
    [1, 8, 3, 6],
  );
  assert.deepEqual(await Promise.all([0, 1].map((n) => turned(["imir", n]))), [4, 2]);
  // EXIF 5 mirrors along the falling diagonal, 7 along the other.
  assert.equal(await turned(["irot", 1], ["imir", 0]), 5);
  assert.equal(await turned(["irot", 3], ["imir", 0]), 7);
  assert.equal(await turned(["imir", 1], ["irot", 2]), 4);
});

Deno.test("readHeader() finds what lies further in by as many reads as it takes", async () => {
  const far = tiffHeader([[[256, 30], [257, 20], [274, 8]]], { padding: 3_000_000 });
  const log = file(far);
  assert.equal((await readHeader(log.read)).header?.orientation, 8);
  assert.deepEqual([log.reads, log.bytes], [2, 8_192], "the directory is at the end");

  const big = Array.from({ length: 20 }, () => segment(0xe2, new Uint8Array(65_533)));
  assert.equal(
    await short(jpegHeader(30, 20, { before: big, orientation: 3 })),
    "image/jpeg 30x20 3",
  );
  const comment = Uint8Array.from([0xff, 0xff, 0xff, ...segment(0xfe, join("c")), 7, 7]);
  assert.equal(await short(jpegHeader(30, 20, { before: [comment] })), "image/jpeg 30x20 1");
});

Deno.test("readHeader() tells pages from smaller copies", async () => {
  const page: [number, number][] = [[256, 30], [257, 20]];
  const pages = async (...tags: [number, number][][]) => (await header(tiffHeader(tags))).pages;
  assert.equal(await pages(page), 1);
  assert.equal(await pages(page, page), 2);
  assert.equal(await pages(page, [[254, 1], ...page]), 1);
  assert.equal(await pages(page, [[254, 1], ...page], page), 2);
  assert.equal((await header(webpHeader(30, 20, { animated: true }))).pages, 2);
});

Deno.test("readHeader() names what is no image, and what is a broken one", async () => {
  const text = new TextEncoder();
  assert.equal(await problem(new Uint8Array()), "empty: empty");
  assert.equal(await problem(text.encode("%PDF-1.7\n")), "document: a document (pdf)");
  assert.equal(await problem(text.encode("<!doctype html><title>404")), "not_image: an HTML page");
  assert.equal(await problem(Uint8Array.of(1, 2, 3)), "not_image: no image");
  const png = await photo("image/png", 30, 20);
  const broken: Uint8Array[] = [
    jpegHeader(30, 20).subarray(0, 10),
    jpegHeader(0, 20),
    join([0xff, 0xd8, 0xff, 0xd9]),
    png.subarray(0, 20),
    join(png.subarray(0, 8), chunk("IDAT", new Uint8Array(20))),
    tiffHeader([[[256, 30]]]),
    tiffHeader([[[256, 30], [257, 20]]]).subarray(0, 8),
    heicHeader(30, 20).subarray(0, 60),
    join("BM", new Uint8Array(12), number(3, 4, true), new Uint8Array(12)),
  ];
  for (const bytes of broken) assert.match(await problem(bytes), /^damaged: a damaged \w+ image: /);
});

Deno.test("readHeader() gives what the reading throws, and nothing else is thrown", async () => {
  const error = new Error("the store is down");
  await assert.rejects(readHeader(() => Promise.reject(error)), error);
  const far = tiffHeader([[[256, 30], [257, 20]]], { padding: 9_000 });
  let reads = 0;
  const fails = (start: number, end: number) =>
    reads++ > 0 ? Promise.reject(error) : Promise.resolve(far.subarray(start, end));
  await assert.rejects(readHeader(fails), error);
});

Deno.test("readHeader() reads any file within its bounds, and gives a sound header or a problem", async () => {
  const seeds = [
    jpegHeader(30, 20, { orientation: 6 }),
    oriented(await photo("image/png", 9, 9), 6),
    webpHeader(30, 20, { orientation: 6 }),
    tiffHeader([[[256, 30], [257, 20], [274, 6]], [[254, 1]]]),
    heicHeader(30, 20, [["irot", 1]]),
    bmp(3, 3),
    join([0xff, 0xd8], new Uint8Array(400_000).fill(0xff)),
  ];
  const check = async (bytes: Uint8Array) => {
    const log = file(bytes);
    const { header, problem }: HeaderResult = await readHeader(log.read);
    assert.ok(log.reads <= MAX_READS && log.bytes <= MAX_BYTES, `${log.reads}, ${log.bytes}`);
    assert.ok((header === undefined) !== (problem === undefined));
    if (!header) return;
    const { width, height, orientation } = header;
    assert.ok(width >= 1 && height >= 1 && orientation >= 1 && orientation <= 8);
  };
  for (const seed of seeds) {
    for (let end = 0; end < Math.min(seed.length, 300); end++) await check(seed.subarray(0, end));
  }
  const change = fc.record({
    seed: fc.constantFrom(...seeds.slice(0, -1)),
    bytes: fc.array(fc.tuple(fc.nat(400), fc.constantFrom(0, 1, 8, 0x7f, 0x80, 0xff)), {
      maxLength: 6,
    }),
    more: fc.uint8Array({ maxLength: 40 }),
  });
  await fc.assert(
    fc.asyncProperty(change, async ({ seed, bytes, more }) => {
      const changed = join(seed, more);
      for (const [at, value] of bytes) changed[at % changed.length] = value;
      await check(changed);
    }),
    { numRuns: 2_000 },
  );
  await check(seeds.at(-1)!);
});
