import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { bmp, join } from "../../dev/testing/images.ts";
import { decodeBmp } from "./bmp.ts";
import { ImageError, type ImageErrorKind } from "./pixels.ts";

const MANY = { maxPixels: 1e6 };
/** 6 × 4 pixels as ImageMagick writes them, gzipped. */
const FILES: Readonly<Record<string, string>> = {
  "4 bits":
    "H4sIAAAAAAACA3PybWOAgDIg1gBiNiBmAWJGMMnAIMCAAAJQHKOpzpAQIsfgaGbN0BGozkAqYFJSZFBSEmQQYBZiMGBS" +
    "YgAAMeZAgoYAAAA=",
  "run lengths of 8 bits":
    "H4sIAAAAAAACA3PyTWJhAAMzIK0BpNmAGCTEyMABxAwMOgxIgBGCYzTVGRJC5BgczawZOgLVGUbBKBgFIwcwMrAwMTIy" +
    "gUoKJiYwDeIxMjMCKTCPmYmBGcxiYAQAqBh2s2IEAAA=",
  "bit masks":
    "H4sIAAAAAAACA+2OTUsCURSGn3cadTLt05TShaDRpnBboAU3Yia4QkkuXGjg3hZFm6x99Nv8T9P1UhDt3LWYh/Py8pzF" +
    "4Zj+IsTz6frNdd5luRKRCxh+oe+Q/owXEw+eWZHwj3/cHfPQueexPsGaHj17Q5zMGCc1xofut6MJTxfnvNsKXXtLbHMU" +
    "S3Dd6nJ2dYAZRbwMT5lPE1rlkGa1TWPQ5qR/yfy1Q5qmZGRk/E+0qz1VtK+qasHSSyprU1va1o73vAqKtK6iNrwjKdCa" +
    "QuUCf+ALJX2JM8wEAAA=",
};
/** What ImageMagick reads in them. */
const PIXELS: Readonly<Record<string, string>> = {
  "4 bits":
    "J1GIJylcJylcOzZBOzZBOzZBHlRgJylcJylcJ1GIHlRgOzZBOzZBOzZBOzZBOzZBHlRgHlRgJylcOzZBOzZBOzZBOzZBHlRg",
  "run lengths of 8 bits":
    "J1GIJylcJylcOzZBOzZBOzZBHlRgJylcJylcJ1GIHlRgOzZBOzZBOzZBOzZBOzZBHlRgHlRgJylcOzZBOzZBOzZBOzZBHlRg",
  "bit masks":
    "J1GIVC9fXhtuPUJMSUw9bUhHF0hdABpdXiV8OT5yFEx9UEw8BUxHAAwKPCNFGUM4CFlCLVV1SGJ7BA0jJBYgJFIcP00sL3p7",
};

function unpacked(file: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(gunzipSync(Uint8Array.fromBase64(file)));
}

for (const [name, file] of Object.entries(FILES)) {
  Deno.test(`decodeBmp() reads ${name}`, () => {
    const { width, height, channels, data } = decodeBmp(unpacked(file), MANY);
    assert.deepEqual([width, height, channels], [6, 4, 3]);
    const theirs = Uint8Array.fromBase64(PIXELS[name]);
    // Bits of a mask are stretched to 8, which may be rounded either way.
    assert.ok(data.every((value, i) => Math.abs(value - theirs[i]) <= 1));
  });
}

Deno.test("decodeBmp() reads 24 bits in both directions", () => {
  for (const height of [2, -2]) {
    const bytes = bmp(3, height);
    bytes.set([1, 2, 3], 54); // blue, green, red of the first pixel in the file
    const { data } = decodeBmp(bytes, MANY);
    const at = height < 0 ? 0 : 3 * 3;
    assert.deepEqual([...data.subarray(at, at + 3)], [3, 2, 1]);
    assert.equal(data.filter((value) => value === 255).length, 15);
  }
});

Deno.test("decodeBmp() refuses what it can't read, and what is too large", () => {
  const kind = (bytes: Uint8Array<ArrayBuffer>): ImageErrorKind | undefined => {
    try {
      decodeBmp(bytes, MANY);
    } catch (error) {
      assert.ok(error instanceof ImageError);
      return error.kind;
    }
  };
  assert.equal(kind(bmp(3, 2).subarray(0, 60)), "damaged");
  assert.equal(kind(join("BM")), "damaged");
  assert.equal(kind(bmp(0, 2)), "damaged");
  const large = bmp(3, 2);
  large.set([0, 0, 1, 0, 0, 0, 1, 0], 18);
  assert.equal(kind(large), "too_large");
  const packed = bmp(3, 2);
  packed[30] = 4; // a JPEG inside
  assert.equal(kind(packed), "unsupported");
});

Deno.test("decodeBmp() gives pixels or an ImageError for any bytes", () => {
  const seeds = [bmp(3, 3), ...Object.values(FILES).map(unpacked)];
  const change = fc.record({
    seed: fc.constantFrom(...seeds),
    bytes: fc.array(fc.tuple(fc.nat(150), fc.nat(255)), { maxLength: 8 }),
    end: fc.nat(300),
  });
  fc.assert(
    fc.property(change, ({ seed, bytes, end }) => {
      const changed = new Uint8Array(end > 150 ? seed : seed.subarray(0, end));
      for (const [at, value] of bytes) if (at < changed.length) changed[at] = value;
      try {
        const { width, height, data } = decodeBmp(changed, { maxPixels: 10_000 });
        assert.equal(data.length, width * height * 3);
      } catch (error) {
        assert.ok(error instanceof ImageError, String(error));
      }
    }),
    { numRuns: 1_000 },
  );
});
