import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeGif } from "./gif.ts";
import { unpackLzw } from "./lzw.ts";
import { ImageError } from "./pixels.ts";

const MANY = { maxPixels: 1e6 };
/** 13 × 11 pixels of 16 colours, as ImageMagick writes them, plain and interlaced. */
const PLAIN = Uint8Array.fromBase64(
  "R0lGODlhDQALAPMAAGURbvcHL9wMHrEQT5UQb6ITXsUORWwTpyoM0QsG9hUI3lwOzi8QvYwQmAAAAAAAACH5BAAAAAAALAAAAAANAAsAAARLUIhhjAjhYmFGIYW1SQIxDGDYVVVTfI0nr4QJEAcANISLNznd4bBYHIAM4pBYXAABCgViimAspolrNMGYNhMJbFgaHivA6DR3m4gAADs=",
);
const INTERLACED = Uint8Array.fromBase64(
  "R0lGODlhDQALAPMAAGURbvcHL9wMHrEQT5UQb6ITXsUORWwTpyoM0QsG9hUI3lwOzi8QvYwQmAAAAAAAACH5BAAAAAAALAAAAAANAAsAQAROUIhhjAjhYqFUYgiyjEkSEsQAEAcANERToMNAFEVFVQZzLIfgaNRolY5HRqdkGMxyGolENms4r03DoegCCIHFTijEWIQS5hJCgTCZlokIADs=",
);
/** The same raw. */
const RGB = Uint8Array.fromBase64(
  "3Awe3AwesRBPxQ5FxQ5F3Awe9wcv9wcv3Awe9wcv9wcv9wcv3AwexQ5FsRBPohNelRBvohNexQ5F3Awe9wcv9wcv3Awe3Awe3Awe3AwelRBvsRBPsRBPlRBvohNeohNexQ5FxQ5FsRBPxQ5FxQ5FxQ5FxQ5FjBCYohNeohNelRBvjBCYsRBPohNesRBPohNesRBPxQ5FsRBPxQ5FlRBvlRBvsRBPZRFulRBvbBOnZRFuZRFujBCYlRBvjBCYohNelRBvbBOnjBCYbBOnZRFuZRFuZRFubBOnbBOnXA7OXA7ObBOnjBCYbBOnLxC9bBOnXA7ObBOnbBOnbBOnXA7OXA7OXA7OXA7OjBCYbBOnZRFuFQjeFQjeKgzRKgzRKgzRKgzRLxC9XA7OKgzRKgzRCwb2XA7OKgzRFQjeFQjeCwb2LxC9KgzRKgzRXA7OXA7OXA7OCwb2Cwb2KgzRKgzRCwb2Cwb2KgzRFQjeKgzRCwb2KgzRCwb2KgzRFQjeFQjeCwb2Cwb2Cwb2Cwb2Cwb2Cwb2Cwb2Cwb2Cwb2Cwb2LxC9FQjeFQjeCwb2Cwb2",
);

function kindOf(bytes: Uint8Array<ArrayBuffer>, maxPixels = 1e6): string {
  try {
    decodeGif(bytes, { maxPixels });
    return "decoded";
  } catch (error) {
    assert.ok(error instanceof ImageError, String(error));
    return error.kind;
  }
}

/** Where the picture's descriptor begins. */
function descriptorOf(gif: Uint8Array): number {
  let at = 13 + (gif[10] & 0x80 ? 3 << (gif[10] & 7) + 1 : 0);
  while (gif[at] === 0x21) {
    at += 2;
    while (gif[at] > 0) at += gif[at] + 1;
    at++;
  }
  assert.equal(gif[at], 0x2c);
  return at;
}

Deno.test("decodeGif() gives the pixels of another decoder, interlaced ones too", () => {
  for (const gif of [PLAIN, INTERLACED]) {
    const { width, height, channels, data } = decodeGif(gif, MANY);
    assert.deepEqual([width, height, channels], [13, 11, 3]);
    assert.deepEqual(data, RGB);
  }
});

Deno.test("decodeGif() shows what is transparent, or beside the picture, as white", () => {
  const at = descriptorOf(PLAIN);
  const { data } = decodeGif(PLAIN, MANY);
  const first = data.subarray(0, 3).join();
  const table = PLAIN.subarray(13, at);
  const index = Array.from({ length: 16 }, (_, n) => table.subarray(3 * n, 3 * n + 3).join())
    .indexOf(first);
  const control = Uint8Array.of(0x21, 0xf9, 4, 1, 0, 0, index, 0);
  const holes = new Uint8Array([...PLAIN.subarray(0, at), ...control, ...PLAIN.subarray(at)]);
  const seen = decodeGif(holes, MANY).data;
  for (let i = 0; i < seen.length; i += 3) {
    const was = data.subarray(i, i + 3).join();
    assert.equal(seen.subarray(i, i + 3).join(), was === first ? "255,255,255" : was);
  }
  // On a larger canvas, and over its rim.
  const moved = PLAIN.slice();
  moved[6] = 15;
  moved[at + 1] = 4;
  const shifted = decodeGif(moved, MANY);
  assert.equal(shifted.width, 15);
  assert.deepEqual(shifted.data.subarray(0, 12), new Uint8Array(12).fill(255));
  assert.deepEqual(shifted.data.subarray(12, 45), RGB.subarray(0, 33));
});

Deno.test("decodeGif() says what is wrong with any file, and unpacks no more than it may", () => {
  for (let length = 0; length < PLAIN.length - 3; length++) {
    assert.equal(kindOf(PLAIN.slice(0, length)), "damaged", String(length));
  }
  assert.equal(kindOf(PLAIN, 142), "too_large");
  const huge = PLAIN.slice();
  huge.fill(255, descriptorOf(PLAIN) + 5, descriptorOf(PLAIN) + 9);
  assert.equal(kindOf(huge), "too_large");
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(PLAIN.length - 1), fc.nat(255))), (changes) => {
    const bytes = PLAIN.slice();
    for (const [at, byte] of changes) bytes[at] = byte;
    kindOf(bytes);
  }));
});

/** LZW as GIF has it, written plainly. */
function pack(symbols: readonly number[], bits: number): Uint8Array {
  const [clear, end] = [1 << bits, (1 << bits) + 1];
  const out: number[] = [];
  let [buffer, held] = [0, 0];
  let table = new Map<string, number>();
  let [next, width] = [end + 1, bits + 1];
  const put = (code: number) => {
    buffer |= code << held;
    held += width;
    for (; held >= 8; held -= 8, buffer >>>= 8) out.push(buffer & 255);
  };
  put(clear);
  let text = "";
  const codeOf = (of: string) => of.length === 1 ? of.charCodeAt(0) : table.get(of)!;
  for (const symbol of symbols) {
    const longer = text + String.fromCharCode(symbol);
    if (longer.length === 1 || table.has(longer)) {
      text = longer;
      continue;
    }
    put(codeOf(text));
    if (next === 4_096) {
      put(clear);
      table = new Map();
      [next, width] = [end + 1, bits + 1];
    } else {
      if (next === 1 << width) width++;
      table.set(longer, next++);
    }
    text = String.fromCharCode(symbol);
  }
  if (text !== "") put(codeOf(text));
  if (next === 1 << width && width < 12) width++;
  put(end);
  if (held > 0) out.push(buffer & 255);
  return Uint8Array.from(out);
}

Deno.test("unpackLzw() reads what is packed as GIF has it, through all lengths of codes", () => {
  const run = fc.integer({ min: 2, max: 8 }).chain((bits) =>
    fc.record({
      bits: fc.constant(bits),
      symbols: fc.array(fc.nat((1 << bits) - 1), { maxLength: 9_000, size: "max" }),
    })
  );
  fc.assert(
    fc.property(run, ({ bits, symbols }) => {
      const out = new Uint8Array(symbols.length);
      const packed = pack(symbols, bits);
      assert.equal(unpackLzw(packed, out, { bits, lowFirst: true, early: 0 }), symbols.length);
      assert.deepEqual(out, Uint8Array.from(symbols));
    }),
    { numRuns: 40 },
  );
});
