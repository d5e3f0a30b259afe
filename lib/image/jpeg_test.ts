import assert from "node:assert/strict";
import { createCanvas, loadImage } from "@napi-rs/canvas";
import fc from "fast-check";
import { jpegFrame } from "./jpeg_frame.ts";
import { openJpegDecoder, openJpegEncoder } from "./jpeg.ts";
import { ImageError, type ImageErrorKind, type Pixels } from "./pixels.ts";

const decoder = await openJpegDecoder();
const encoder = await openJpegEncoder();
const MANY = { maxPixels: 1e6 };

/** 24 × 16 pixels: green in the corner, red to blue elsewhere, as CMYK with Adobe's marker. */
const CMYK = Uint8Array.fromBase64(
  "/9j/7gAOQWRvYmUAZAAAAAAC/9sAQwADAgIDAgIDAwMDBAMDBAUIBQUEBAUKBwcGCAwKDAwLCgsLDQ4SEA0OEQ4LCx" +
    "AWEBETFBUVFQwPFxgWFBgSFBUU/9sAQwEDBAQFBAUJBQUJFA0LDRQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU" +
    "FBQUFBQUFBQUFBQUFBQUFBQUFBQU/8AAFAgAEAAYBAERAAIRAQMRAQQRAP/EABgAAQADAQAAAAAAAAAAAAAAAAAGBw" +
    "gJ/8QAHxAAAQIGAwAAAAAAAAAAAAAAAAIYBBdUZJGiARZS/8QAFwEBAQEBAAAAAAAAAAAAAAAAAAgJCv/EAB0RAAED" +
    "BQEAAAAAAAAAAAAAAAABBBcCFVFTkRT/2gAOBAEAAhEDEQQAAD8AgRcBo6dUzVHYUe+CGJHa7E6c0XjXBmBzl3sOwo" +
    "98CR2uxOjxrgOcu9i0ZUwtOnBm3eK8l+xw11pwNjtNRKmFp04F4ryI4a604Gx2molTC06cC8V5EcNdacDY7TU//9k=",
);

/** Text-like noise with a grey ramp. */
function picture(width: number, height: number): Pixels {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++) data[i] = (i * 7 + (i >> 5) * 13) % 97 + (i % 3) * 50;
  return { width, height, channels: 3, data };
}

async function refusal(
  bytes: Uint8Array<ArrayBuffer>,
  kind: ImageErrorKind,
  options = MANY,
): Promise<string> {
  const error = await decoder.decode(bytes, options).then(() => undefined, (error) => error);
  assert.ok(error instanceof ImageError, String(error));
  assert.equal(error.kind, kind);
  return error.message;
}

Deno.test("decode() gives the pixels that another decoder gives", async () => {
  const bytes = await encoder.encode(picture(67, 41), 90);
  const { width, height, channels, data } = await decoder.decode(bytes, MANY);
  assert.deepEqual([width, height, channels], [67, 41, 4]);
  const canvas = createCanvas(width, height).getContext("2d");
  canvas.drawImage(await loadImage(bytes), 0, 0);
  const theirs = canvas.getImageData(0, 0, width, height).data;
  const worst = data.reduce((most, value, i) => Math.max(most, Math.abs(value - theirs[i])), 0);
  assert.ok(worst <= 8, `a sample differs by ${worst}`);
});

Deno.test("encode() takes grey, RGB and RGB with a fourth byte, and keeps the picture", async () => {
  const colour = picture(64, 48);
  const rgb4 = new Uint8Array(64 * 48 * 4).fill(255);
  for (let i = 0; i < 64 * 48; i++) rgb4.set(colour.data.subarray(i * 3, i * 3 + 3), i * 4);
  const three = await encoder.encode(colour, 85);
  const four = await encoder.encode({ ...colour, channels: 4, data: rgb4 }, 85);
  assert.deepEqual(three, four);
  const flat = new Uint8Array(64 * 48).map((_, i) => i % 64 * 4);
  const grey = await encoder.encode({ ...colour, channels: 1, data: flat }, 95);
  assert.equal(jpegFrame(grey)?.components, 1);
  const { data } = await decoder.decode(grey, MANY);
  flat.forEach((value, i) => assert.ok(Math.abs(value - data[i * 4]) < 12, `${value} at ${i}`));
});

Deno.test("a CMYK JPEG is decoded in its colours", async () => {
  const { width, height, data } = await decoder.decode(CMYK, MANY);
  assert.deepEqual([width, height], [24, 16]);
  const at = (x: number, y: number) => [...data.subarray((y * 24 + x) * 4, (y * 24 + x) * 4 + 3)];
  const near = (found: number[], wanted: number[]) =>
    assert.ok(found.every((value, i) => Math.abs(value - wanted[i]) < 12), `${found}`);
  near(at(2, 2), [0, 255, 0]);
  near(at(20, 0), [255, 0, 0]);
  near(at(23, 15), [0, 0, 255]);
});

Deno.test("a JPEG that ends too early is refused, or shown as far as it goes", async () => {
  const whole = await encoder.encode(picture(200, 160), 90);
  for (const length of [3, 20, 300, whole.length >> 1, whole.length - 40]) {
    await refusal(whole.slice(0, length), "damaged");
  }
  const half = whole.slice(0, whole.length >> 1);
  const shown = await decoder.decode(half, { ...MANY, damaged: true });
  const { data } = await decoder.decode(whole, MANY);
  assert.deepEqual(shown.data.subarray(0, 200 * 4 * 16), data.subarray(0, 200 * 4 * 16));
  await refusal(CMYK.slice(0, 380), "damaged");
});

Deno.test("a JPEG with more pixels than allowed is refused before it is decoded", async () => {
  const bomb = (await encoder.encode(picture(16, 16), 50)).slice();
  const frame = bomb.findIndex((byte, i) => byte === 0xff && bomb[i + 1] === 0xc0);
  bomb.set([0xff, 0xff, 0xff, 0xff], frame + 5);
  assert.match(await refusal(bomb, "too_large"), /65535 × 65535 pixels, 4294\.8 million/);
  await refusal(CMYK, "too_large", { maxPixels: 24 * 16 }); // a quarter is allowed for CMYK
  bomb.set([0, 0], frame + 5);
  await refusal(bomb, "damaged");
  bomb[frame + 4] = 12;
  bomb.set([0, 16, 0, 16], frame + 5);
  assert.match(await refusal(bomb, "unsupported"), /12 bits/);
});

Deno.test("whatever bytes it gets, the decoder throws only its own error and stays usable", async () => {
  const sound = await encoder.encode(picture(40, 30), 80);
  const { data: wanted } = await decoder.decode(sound, MANY);
  const spot = fc.tuple(fc.nat(sound.length - 1), fc.integer({ min: 0, max: 255 }));
  await fc.assert(
    fc.asyncProperty(fc.array(spot, { minLength: 1, maxLength: 20 }), async (spots) => {
      const bytes = sound.slice();
      for (const [at, value] of spots) bytes[at] = value;
      await decoder.decode(bytes, MANY).catch((error) => assert.ok(error instanceof ImageError));
    }),
    { numRuns: 60 },
  );
  assert.deepEqual((await decoder.decode(sound, MANY)).data, wanted);
});
