import assert from "node:assert/strict";
import { createCanvas, loadImage } from "@napi-rs/canvas";
import fc from "fast-check";
import { photo, webpHeader } from "../../dev/testing/images.ts";
import { ImageError, type ImageErrorKind } from "./pixels.ts";
import { WebpDecoder } from "./webp.ts";

const decoder = new WebpDecoder();
const MANY = { maxPixels: 1e6 };

async function refusal(
  bytes: Uint8Array<ArrayBuffer>,
  options = MANY,
): Promise<ImageErrorKind | undefined> {
  const error = await decoder.decode(bytes, options).then(() => undefined, (error) => error);
  assert.ok(error instanceof ImageError, String(error));
  return error.kind;
}

Deno.test("WebpDecoder gives the pixels that another decoder gives", async () => {
  const bytes = await photo("image/webp", 61, 43);
  const { width, height, channels, data } = await decoder.decode(bytes, MANY);
  assert.deepEqual([width, height, channels], [61, 43, 3]);
  const canvas = createCanvas(width, height).getContext("2d");
  canvas.drawImage(await loadImage(bytes), 0, 0);
  const theirs = canvas.getImageData(0, 0, width, height).data.filter((_, i) => i % 4 !== 3);
  const worst = data.reduce((most, value, i) => Math.max(most, Math.abs(value - theirs[i])), 0);
  assert.ok(worst <= 4, `a sample differs by ${worst}`);
});

Deno.test("WebpDecoder lays what is transparent on white", async () => {
  const canvas = createCanvas(8, 8);
  const context = canvas.getContext("2d");
  context.fillStyle = "rgba(0, 0, 0, 0.5)";
  context.fillRect(0, 0, 8, 4);
  const bytes = new Uint8Array(await canvas.encode("webp", 100));
  const { data } = await decoder.decode(bytes, MANY);
  assert.ok(Math.abs(data[0] - 127) <= 3, `${data[0]}`);
  assert.equal(data.at(-1), 255);
});

Deno.test("WebpDecoder refuses what is animated, too large or broken, and works on", async () => {
  assert.equal(await refusal(webpHeader(30, 20, { animated: true })), "unsupported");
  assert.equal(await refusal(webpHeader(16_000, 16_000)), "too_large");
  assert.equal(await refusal(webpHeader(30, 20)), "damaged");
  assert.equal(await refusal(new TextEncoder().encode("no image")), "damaged");
  const whole = await photo("image/webp", 61, 43);
  const change = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(change, fc.nat(whole.length), async (changes, end) => {
      const bytes = whole.slice(0, end % 3 === 0 ? end : whole.length);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      const { width, height, data } = await decoder.decode(bytes, MANY).catch((error) => {
        assert.ok(error instanceof ImageError, String(error));
        return { width: 0, height: 0, data: [] };
      });
      assert.equal(data.length, width * height * 3);
    }),
    { numRuns: 200 },
  );
  assert.equal((await decoder.decode(whole, MANY)).width, 61);
});
