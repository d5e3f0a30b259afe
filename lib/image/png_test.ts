import assert from "node:assert/strict";
import { crc32, deflateSync } from "node:zlib";
import { createCanvas, loadImage } from "@napi-rs/canvas";
import fc from "fast-check";
import { ImageError, type Pixels } from "./pixels.ts";
import { decodePng, encodePng } from "./png.ts";

const MANY = { maxPixels: 1e6 };
/** Samples of a pixel by colour type. */
const SAMPLES: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2]];

function chunk(name: string, content: Uint8Array): Uint8Array {
  const body = new Uint8Array([...new TextEncoder().encode(name), ...content]);
  const bytes = new Uint8Array(8 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set(body, 4);
  view.setUint32(4 + body.length, crc32(body));
  return bytes;
}

interface Kind {
  readonly width: number;
  readonly height: number;
  readonly type: number;
  readonly depth: number;
  readonly interlace: boolean;
  readonly transparency?: Uint8Array;
}

/** A PNG of any kind with noise in it, each row under another filter. */
function noise({ width, height, type, depth, interlace, transparency }: Kind, seed: number) {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([depth, type, 0, 0, interlace ? 1 : 0], 8);
  let state = seed >>> 0 || 1;
  const random = () => (state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0) >>> 24;
  const raw: number[] = [];
  for (const [x, y, dx, dy] of interlace ? [...PASSES, [0, 1, 1, 2]] : [[0, 0, 1, 1]]) {
    const columns = Math.ceil((width - x) / dx);
    const rows = Math.ceil((height - y) / dy);
    if (columns <= 0 || rows <= 0) continue;
    for (let row = 0; row < rows; row++) {
      // Bytes of a filtered row may be any; palette numbers above 15 come out of that, too.
      raw.push(type === 3 ? 0 : row % 5);
      const bytes = Math.ceil(columns * SAMPLES[type] * depth / 8);
      for (let i = 0; i < bytes; i++) {
        raw.push(type === 3 && depth === 8 ? random() % 16 : random());
      }
    }
  }
  const palette = new Uint8Array(48).map(random);
  return Uint8Array.from([
    ...[0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
    ...chunk("IHDR", header),
    ...type === 3 ? chunk("PLTE", palette) : [],
    ...transparency ? chunk("tRNS", transparency) : [],
    ...chunk("IDAT", deflateSync(Uint8Array.from(raw))),
    ...chunk("IEND", new Uint8Array()),
  ]);
}

/** What Skia, which Chromium draws with, makes of it on white. */
async function drawn(bytes: Uint8Array, width: number, height: number): Promise<number[]> {
  const canvas = createCanvas(width, height).getContext("2d");
  canvas.fillStyle = "white";
  canvas.fillRect(0, 0, width, height);
  canvas.drawImage(await loadImage(bytes), 0, 0);
  return [...canvas.getImageData(0, 0, width, height).data].filter((_, i) => i % 4 < 3);
}

function rgb({ channels, data }: Pixels): number[] {
  return channels === 1 ? [...data].flatMap((value) => [value, value, value]) : [...data];
}

Deno.test("decodePng() gives what a browser shows, for every colour type, depth and interlace", async () => {
  const kinds: [number, number[]][] = [
    [0, [1, 2, 4, 8, 16]],
    [2, [8, 16]],
    [3, [1, 2, 4, 8]],
    [4, [8, 16]],
    [6, [8, 16]],
  ];
  for (const [type, depths] of kinds) {
    for (const depth of depths) {
      for (const interlace of [false, true]) {
        for (const [width, height] of [[19, 13], [1, 9], [3, 1]]) {
          const kind = { width, height, type, depth, interlace };
          const bytes = noise(kind, type * 100 + depth);
          const ours = decodePng(bytes, MANY);
          assert.deepEqual([ours.width, ours.height], [width, height]);
          const theirs = await drawn(bytes, width, height);
          const worst = Math.max(...rgb(ours).map((value, i) => Math.abs(value - theirs[i])));
          // Skia multiplies by alpha in 8 bits, and rounds 16 bits where we cut.
          assert.ok(
            worst <= (depth === 16 || type >= 4 ? 2 : 0),
            `${JSON.stringify(kind)}: ${worst}`,
          );
        }
      }
    }
  }
});

Deno.test("decodePng() lays what is transparent on white", async () => {
  const size = { width: 32, height: 8, interlace: false };
  const cases: [Kind, boolean][] = [
    [{ ...size, type: 3, depth: 4, transparency: Uint8Array.of(0, 80, 255, 10) }, true],
    [{ ...size, type: 0, depth: 2, transparency: Uint8Array.of(0, 2) }, true],
    [{ ...size, type: 0, depth: 8, transparency: Uint8Array.of(0, 77) }, false],
    [{ ...size, type: 2, depth: 8, transparency: Uint8Array.of(0, 1, 0, 2, 0, 3) }, false],
  ];
  for (const [kind, frequent] of cases) {
    const bytes = noise(kind, 9);
    const ours = rgb(decodePng(bytes, MANY));
    const theirs = await drawn(bytes, size.width, size.height);
    const worst = Math.max(...ours.map((value, i) => Math.abs(value - theirs[i])));
    assert.ok(worst <= 2, `${JSON.stringify(kind)}: ${worst}`);
    if (frequent) assert.ok(ours.filter((value) => value === 255).length > 30);
  }
});

Deno.test("decodePng() reads what encodePng() writes, pixel for pixel", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 40 }),
      fc.constantFrom(1, 3, 4),
      fc.integer(),
      async (width, height, channels: 1 | 3 | 4, seed) => {
        const data = new Uint8Array(width * height * channels).map((_, i) =>
          channels === 4 && i % 4 === 3 ? 255 : Math.imul(i + 1, seed | 1) >>> 13
        );
        const picture = { width, height, channels, data };
        const bytes = encodePng(picture);
        const wanted = [...data].filter((_, i) => channels !== 4 || i % 4 < 3);
        assert.deepEqual([...decodePng(bytes, MANY).data], wanted);
        if (channels === 3) assert.deepEqual(await drawn(bytes, width, height), wanted);
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("decodePng() refuses what is cut, changed or too large, with its own error alone", () => {
  const kind = { width: 19, height: 13, type: 2, depth: 8, interlace: false };
  const sound = noise(kind, 5);
  const refusal = (bytes: Uint8Array<ArrayBuffer>, options = MANY) => {
    try {
      decodePng(bytes, options);
      return undefined;
    } catch (error) {
      assert.ok(error instanceof ImageError, String(error));
      return error.kind;
    }
  };
  for (let length = 0; length < sound.length - 12; length += 7) {
    assert.equal(refusal(sound.slice(0, length)), "damaged");
  }
  for (let at = 0; at < sound.length - 12; at++) {
    const bytes = sound.slice();
    bytes[at] ^= 0x11;
    assert.notEqual(refusal(bytes), undefined, `byte ${at}`);
  }
  assert.equal(refusal(sound, { maxPixels: 19 * 13 - 1 }), "too_large");
  // A few bytes that would inflate to a gigabyte.
  const bomb = [...sound.subarray(0, 33), ...chunk("IDAT", deflateSync(new Uint8Array(4e6)))];
  assert.equal(refusal(Uint8Array.from([...bomb, ...chunk("IEND", new Uint8Array())])), "damaged");
});
