import assert from "node:assert/strict";
import { deflateSync, gunzipSync } from "node:zlib";
import fc from "fast-check";
import { join, number, tiff, tiffHeader } from "../../dev/testing/images.ts";
import { unpackLzw } from "./lzw.ts";
import { ImageError, type ImageErrorKind } from "./pixels.ts";
import { decodeTiff, type TiffOptions } from "./tiff.ts";

const MANY: TiffOptions = { maxPixels: 1e6, jpeg: () => Promise.reject(new Error("no JPEG")) };
/** 6 × 4 pixels, as ImageMagick writes them raw. */
const RGB = Uint8Array.fromBase64(
  "J1GIVC9fXhtuPUJMSUw9bUhHF0hdABpdXiV8OT5yFEx9UEw8BUxHAAwKPCNFGUM4CFlCLVV1SGJ7BA0jJBYgJFIcP00sL3p7",
);
/** The same picture as libtiff writes it, gzipped. */
const FILES: Readonly<Record<string, string>> = {
  "LZW, big-endian":
    "H4sIAAAAAAACA+3bz0vbYBgH8OdtYxsy22WjTWeajczoxFrp9LIW2qZUbCokUEVBD6vQux4EL1ZBxsa87bqjx/0ZY7tu" +
    "f8k8CYIn3fuG4Bt2m6eZfb+H533y8uYHBPLhPSQIqELUG50S2fYzXcuk3zH7fPu1mc++T720Pw8qxqOvHdIZUZqIGGV4" +
    "YVGv8JKKepWXdNRP8JKJel6ZFvX8IuyJOEt0pLKnsflirDdi1y/drX/BrNia+bBPiWPWFncUfdZibtjzp8xcsI5YI5bR" +
    "hShzc5ubw2Grtba2t1cqEQ2HjUahMBhM8DOazakpVV1c7PcVZYbHdWu121tCEpT19VqtXO52fb/PY5qzs+22H2Zy0nFW" +
    "VnZ2trZGo1zOMDY2guDoCO8/WTk7293d3/f9Vsvz3vIcHx8cnJw0m56naaur9Xq3e3g4HjuObVtWtToe4/0n7QPw6wNx" +
    "6OjL1XcBB/k/frJoDOf5GM5fffuki/HcfBMeax8XyObjA1EwdykVzKekgtlLKIhAQSgIBf/j/Kna36r4QBQsXEsFi6pU" +
    "MH8NBREoCAWhIBRMuoLlG6mglZcKFm+gIAIFoSAUhIJJV9BRpIJOQSr4XIGCCBSEglAQCiZdwYomFayYUsEZDQoiUBAK" +
    "QkEomHQFl3Sp4JItFVzQoSACBaEgFISCSVewbkgF66+kgssGFESgIBSEglAw6Qq6sf8F3apUsGFBQQQKQkEoCAWTrmBv" +
    "WirYW5YKdqahIAIFoSAUhIL3VvDxP6fgnXxBbP8XxPZ/HvZ/COSDfJAP8t1bvt/ckApxXE0AAA==",
  "LZW tiles with differences":
    "H4sIAAAAAAACA+3Vv2sTYRzH8e/lV0Poz9hcaRIxcBdD09a0EupFckm8NN4FLqUJ7dDBFGLXllKsQ5NCBsXiUJ0cxdGh" +
    "f4CDgyguRcHJwdmhoGuhW33uevhkcA6S+7zh4fk+xwO5cMOrWk3Tlk7UJVpQYr+FoScafTNi36+NBcp066IjJ8OPPj+s" +
    "v/v5WL3x0thq5ORXtdTzD6UwkeAlgYgCbAnO7GPL48xBtrzO7LfuObOXrZAzWyvcM0d65njPPMNmD5F9Up3n1rkg+O1d" +
    "HCIqstl6l5tsLrE71g+J7KLm3B9nq9wzLwu+v+9ZceYFuiqVWltrNlW1Wt3enpoiajZzucnJ1VU/+yP5/PR0MDg/bxg+" +
    "n8wqFjOZy0tCA1S9nsnEYppmmgYrGk0mCwXTbnhYksrljY319VZrZEQUG41a7eAA33+wOjra3NzZMU1V1fUHrE5nb+/w" +
    "MJ/X9VCoUlEUTdvfb7clKZGIx+fm2m18/8HqTvSNtXlmn4XYlqCnv+pkGfnp/K39/OsX08boau+Sc/a8+Hhu7eP/l47Z" +
    "Ua7j8ijXMRuEjgg6IuiI3KpjI8J1bEW4jo0x6IigI4KOyK067sa5jt0413FXhI4IOiLoiNyq47HEdXwtcR2Pr0NHBB0R" +
    "dERu1fEkzXV8n+Y6nsjQEUFHBB2RW3U8XeQ6/ljkOp7OQkcEHRF0RG7V8UzhOl4oXMez29ARQUcEHZFbdQyUuI5iiesY" +
    "uAsdEXRE0BG5VUdZ5zpmda6jfA86IuiIoCPqn44TfdXxXyIurXAR769wEZcMiIggIoKIqH8i/gEBQJnsdk4AAA==",
  "Deflate with differences":
    "H4sIAAAAAAACA+3Vz0obURQG8DOTP4YQ00RMUuMUgqOIUQmK0AQyGYl1JoEJGFGJCyO4EkERQZAkgptSF8W+gEhW0mVX" +
    "fYB2275Dd1107db0zjj0zKIrV23m++Dcc+7lMlyYxa9ez9MPg+jiVnpJPwck2Qk7a8xZx5xVPqUSJYmkAElEFBYluXNQ" +
    "lOzOEVEBzxx254CoqDvblZSCf+6Mec5Tnjnt+X7Gva+KUjx35sQsEzk7zT239xUp5PRH8VBdzPZ74yNEq+KO/ZhHesrs" +
    "7NZWu61p9frxcSZD1G6XSuPjGxuhEFG5PDERiSwu1mrB4LSIrhcKgwEhQ5Rms1CYnKxWLasmks3OzFQqlpNYTFXX1nZ3" +
    "t7cPDkZH0+nNzUaj08H/H65cX+/vn5xYlqaZ5p5Ir3d2dnlZLptmNLq+XixWq+fn3a6q5nKKsrDQ7eL/D1deZ/t2k+ff" +
    "RUXL0dtfTdGv6OvDR+f8+zfLweWpX5G7lz98ebB74v8TMRFnEXNxFjERgYgIRISIEBEi+knEqRSLuJxiEadeQEQEIkJE" +
    "iAgR/STiisIivlFYxJU0REQgIkSEiBDRTyIaKou4o7KIxiuIiEBEiAgRIaKfRGzlWcTDPIvYmoaICESEiBARIvpJxKMl" +
    "FrGzxCIezUNEBCJCRIgIEf0kYq/IIr4vsoi9ZYiIQESICBEhop9EvNFZxDudRbwpQUQEIkJEiAgR/SRi32ARPxksYn8V" +
    "IiIQESJCRIj4fBET/5yIf1PwvsEKfm6wgvcmFESgIBSEglDw+Qr+BgJ7lR7mTQAA",
  "PackBits":
    "H4sIAAAAAAACA+3XMU/bQBQH8GfHTlw3MSE4SXHSypKDEAGU0qWJlMQoiDiRHIkgGBgIiB0GJBYCUhZUtn6Fjv0c7dp+" +
    "EVhYYEKCs7E4q1uZyvX/l57vnfVkneThp+v3q7TfJVJJkhOKqiZT2hv9rZrOGFPZaTU3Y+YLxSyRlCCJiJKspKhXWMlR" +
    "r7FKRL06YXNRn2ClR31Q05LyPJ+Lvc/H+kLs+8VovhxUbGaB9TJRuGtLathbKSKX9cEZr9hjlc0EB7iip8zPb22NRq1W" +
    "v394WCwSjUaNhmlubKgqUbM5O6tpy8u9nqJUWFy3Vnt4IESgDIe1WqnU6fh+j8Wy5ubabT9MOu04a2s7O9vbBweZTKGw" +
    "uTkYnJ7i/4uVy8u9vaMj32+1PG+X5ezs+Pj8vNn0PF1fX6/XO52Tk/HYcWy7XF5aGo/x/8XKxfWQPSf08/Z7sJV///JD" +
    "QJ7WCUV7+euP22DNfra+hfvFLzpbbHodCt5kuIJkcAVvUlAQgYJQEAr+z/lTtb9V8XUoeGdyBZN5ruCdAQURKAgFoSAU" +
    "FF3B+xJXMF3mCt7noSACBaEgFISCoisoO1zBnMMVlN9DQQQKQkEoCAVFV1CrcgXfVbmCWgUKIlAQCkJBKCi6gsYKV/DD" +
    "ClfQWISCCBSEglAQCoquoFnnClbqXEHzExREoCAUhIJQUHQFLZcrWHW5glYDCiJQEApCQSgouoJ2lyv4scsVtFehIAIF" +
    "oSAUhIIvV3Dqn1Pw+f43iN3/BrH7nwf5EMgH+SAf5Hu5fI+Xw4D0Wk0AAA==",
  "16 bits with differences":
    "H4sIAAAAAAACA+3VsUsbcRQH8HfJxcaQpLGYROO1XDnFNirRLL1ALqen5hK4gJEoODSCQ3HRQRAkUXApFREE5w7SqX9G" +
    "aVf7j+jsIoL+7jz6MnRyanPfL7y89/vxCD+44VOv5+mqSnRMNKuP5AbDAws/3r5ryUNEUpgkIhoQJfmzLCrkz1FRYX+O" +
    "uHv+HBYV82e3hiT5z/6rnvt0z5zp+f+sv58SpfTsvBdziMg7Gf69e65IEa9fi4eaYnbfeyd+5sWO+5hresrkZKvVbhtG" +
    "vb6zk80Stdul0vDwykpEPL5cHh2NRmdmajVZHhcxzULh4YGQPkqzWSiMjVmW49REcrmJiUrF8RKPa9ri4sbG2trWViKR" +
    "yayuNhqdDr5/f+XkZHNzd9dxDMO2P4ocHu7tHR2Vy7Ydiy0v67pl7e93u5qmqooyPd3t4vv3Vz7kLt0WmvoSE02lzzdN" +
    "ct37dfvdu/995Xi4PPVj8s+h85+3bk/9fyLeJ1jEeJJFvH8BERGICBEhIkQMkojJNIv4Js0iJl9CRAQiQkSICBGDJKKq" +
    "sIizCouoZiAiAhEhIkSEiEESsaixiJbGIhZfQ0QEIkJEiAgRgyTiUp5FbOVZxKVxiIhARIgIESFikERcn2MRP82xiOtT" +
    "EBGBiBARIkLEIIm4rbOIBzqLuF2EiAhEhIgQESIGScSOySKemixipwQREYgIESEiRAySiGdVFvFrlUU8m4eICESEiBAR" +
    "Ij5fxNQ/J+LfFLxosILfGqzghQ0FESgIBaEgFHy+go8rPTvs0k0AAA==",
};

async function refusal(bytes: Uint8Array<ArrayBuffer>, kind: ImageErrorKind): Promise<void> {
  await assert.rejects(
    decodeTiff(bytes, MANY),
    (error) => error instanceof ImageError && error.kind === kind,
  );
}

/** Directory entries of a picture whose bytes follow it. */
function page(
  width: number,
  height: number,
  tags: readonly [number, number][],
  data: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const all: [number, number][] = [[256, width], [257, height], ...tags, [279, data.length]];
  return join(tiffHeader([[...all, [273, 8 + 6 + 12 * (all.length + 1)]]]), data);
}

for (const [name, file] of Object.entries(FILES)) {
  Deno.test(`decodeTiff() reads ${name}`, async () => {
    const bytes = new Uint8Array(gunzipSync(Uint8Array.fromBase64(file)));
    assert.deepEqual(await decodeTiff(bytes, MANY), {
      width: 6,
      height: 4,
      channels: 3,
      data: RGB,
    });
  });
}

Deno.test("decodeTiff() reads grey both ways round, single bits, and palettes", async () => {
  const grey = (photometric: number) =>
    decodeTiff(
      page(3, 1, [[258, 8], [259, 1], [262, photometric]], Uint8Array.of(0, 7, 255)),
      MANY,
    );
  assert.deepEqual((await grey(1)).data, Uint8Array.of(0, 7, 255));
  assert.deepEqual((await grey(0)).data, Uint8Array.of(255, 248, 0));
  const bits = page(10, 1, [[258, 1], [259, 1], [262, 0]], Uint8Array.of(0b1010_0000, 0b0100_0000));
  assert.deepEqual(
    [...(await decodeTiff(bits, MANY)).data].map((v) => v === 0 ? 1 : 0).join(""),
    "1010000001",
  );
});

Deno.test("decodeTiff() refuses what it can't read, and what is too large, before unpacking", async () => {
  const grey: [number, number][] = [[258, 8], [259, 1], [262, 1]];
  await refusal(page(3, 1, [[258, 8], [259, 4], [262, 1]], Uint8Array.of(1, 2, 3)), "unsupported");
  await refusal(page(3, 1, [[258, 8], [259, 1], [262, 5]], Uint8Array.of(1, 2, 3)), "unsupported");
  const planes: [number, number][] = [[258, 8], [259, 1], [262, 5], [284, 2], [277, 4]];
  await refusal(page(3, 1, planes, Uint8Array.of(1, 2, 3)), "unsupported");
  await refusal(page(3, 1, [...grey, [284, 2], [277, 2]], Uint8Array.of(1, 2, 3)), "damaged");
  await refusal(page(3, 1, grey, Uint8Array.of(1, 2)), "damaged");
  await refusal(page(0, 1, grey, Uint8Array.of(1, 2)), "damaged");
  await refusal(page(70_000, 70_000, grey, Uint8Array.of(1)), "too_large");
  await refusal(page(3, 1, [...grey, [322, 60_000], [323, 60_000]], Uint8Array.of(1)), "too_large");
  await refusal(join("II", number(42, 2, true), number(900, 4, true)), "damaged");
});

Deno.test("decodeTiff() unpacks no more than its pixels take, whatever is packed", async () => {
  const bomb = deflateSync(new Uint8Array(50_000_000));
  await refusal(page(3, 1, [[258, 8], [259, 8], [262, 1]], new Uint8Array(bomb)), "damaged");
  const room = new Uint8Array(10);
  // Code after code that doubles what was there: 9 bits each, first the one that clears.
  assert.equal(unpackLzw(new Uint8Array(4_000).fill(0x80), room), 0);
});

Deno.test("decodeTiff() gives pixels or an ImageError for any bytes", async () => {
  const seeds = [
    tiff(2, 2, new Uint8Array(12)),
    ...Object.values(FILES).map((file) => new Uint8Array(gunzipSync(Uint8Array.fromBase64(file)))),
  ];
  const change = fc.record({
    seed: fc.constantFrom(...seeds),
    bytes: fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 8 }),
    end: fc.nat(400),
  });
  await fc.assert(
    fc.asyncProperty(change, async ({ seed, bytes, end }) => {
      const changed = new Uint8Array(end > 200 ? seed : seed.subarray(0, end));
      for (const [at, value] of bytes) if (at < changed.length) changed[at] = value;
      try {
        const { width, height, channels, data } = await decodeTiff(changed, {
          ...MANY,
          maxPixels: 10_000,
        });
        assert.equal(data.length, width * height * channels);
      } catch (error) {
        assert.ok(error instanceof ImageError, String(error));
      }
    }),
    { numRuns: 1_000 },
  );
});

/** 20 × 10 pixels of CMYK in 8 bits, LZW, and in 16, plain, as libtiff writes them; gzipped. */
const CMYK = [
  "H4sIAAAAAAACA/P01GJwYWJgaGCQf/+BRfQRbzPzgnUvHBhvcjFYKa7LaG6Tut22lfHgBOY5DDpNe1o2hM+o85Ca0KbS6Mnh5cE/4QwDvwHz3v+8DE7zPxQw/7xrVeYk/64j+Odpjnrzh/zXzmj+usB2XEZBsYOH4ZNI6LwkAdEYy9jKNgZjg7W9T4Q27jlken2KWBpD/v7DxRdY9Ypt59knPmB/PE/gT5GTfO6L4JdrOWo2Pc5/doEnj2N1N8NlQwWxdXKnbQ6bLlgb+UR4LYPuLO1qw38a+2Lvbw9gfvfu9zy7RQ7sh/tEvuc5ya21CD7ZG1hrwrD4Q2tMEs/MzsbQQjbHZ1In9zTdtFwgdP/atq/LutN/3I5eUxt73+r4sY1vPrbaygS0d+eJvF3BIHOGq/tkG5sq+7LkhDVnQjhWPeQSqGxOiFrHwKhdwc98MHOxEYPw8R9tDDa5u89cU+sIfHRN9ryTVa4iO+Mstsbjki2sbAyMCxjYGgzX1bMvtEoTa+7a4fZv2QSmW61qE4xuPV3WV8DgKP+og6Fqa/viSN6F7sURpXrPpV6xy6pPELoizcCyUZdB6Mx23VajV1wC818uerbtOANLKQ8Dn9Mtg/mPvvC1eJ4IvHZN5uQJWXWGh0J3BNde/nzaXnoBK0M+g/BXQYeAFbqC7rpXMgxq5Q4wWWxbOvEMn6z84yiZ3XOFZt1i3u+h68UQ8tXrzl/5qQ4MhQycpglN10qr7kZdF93FxTFvvVbItsb0H5/YPRmMnjUt5dDtY4gsi52cpnst607TnNWlq7N0L5/dmNsgtvtpNgMHB4MgAwMjMwMjAwODCBAzQtlcQMwEZLMAaTFmBgZmqDgrELMhsbmgbBAWZGQB0xxALIQkLgplg81CMl8cqt4amIJlkNRrAtlAITDPFioO4tsxsoJpP6B77IFsNiBbDsj2QdLLALYfAltfBzKA8sbhrytAwkxnz/iADYXQDQxQPlP/oa8gWsBcagGYr90Ocp0CAwDAZcQkXgMAAA==",
  "H4sIAAAAAAACA02Va0iUWRjH/1q5y4bThd1q1i67X8QpA4Mwimw3xMoxKLPELhiZUijdrJQpZSQb16GmixmjTkWDkjXiDJmFNZDlEF4yxLAUGU1RxNR0+hB96MOz799j4Blefs975lx+5/rGx6/GjhBoSbSkGAiEhpKDg2FhZEdHRATp9UZHk5WVsbGk1ZqYSGZmpqaScXFZWaRebzLp9WzNZIqLI7OyMjPJ1FSrlUxMrKwkY2O9XjI6uqODjIgYHCTDwgIBMjT0pxUwNSVCL5Jek5OBAL0mJvr76TU+3tZGr7Gxujp6jY7a7fQaGcnJodfQ0K5dJhMwMLBqVVGRXj8wABQXG41DQ8CFC9nZIyPAiRO3bo2OAocPezxjY8CePc3N4+NAXJzfPzEBbNgwOfnlC7B6tcjUFLB8ueKCBcCnT8qrr0+EXr29IvTq6QkE6PXhg99Pr85On49e795VV9OrpcVioVdT08GDRUWA1xseXlqq1z9/Dtjtu3e/fg1YrXl5zc1AXt79++3twMmTL192dgJHjnR3d3UBe/dOTHR3A9u2ifT2Ahs3ivj9wJo1Iv39wMqVQHu78mppUV5v3ojQ69UrEXp5vYEAvZ4+7emhV22t10uvqiq7nV7l5ZmZpaXAlStRUU6nXm+xAA8epKTcvg2UlVmtTif/83hqaoD8/I6OJ0+A06c/f+Y40tJEGhuBfftEfD5gxw4RjmfTJpG3b4G1a4Fnz5TX48fKq6ZGeVVVidDrzh0RepWUBAL0Kip6/55eubm1tfRKT8/Pp4PRGBPjduv1mzcD9fVHjx44AFRXl5efOgVUVPh8BQXA1avDwzYbYDaLlJUBZ86IsG56usjDh0BysojHA8THi9TXA2zr3j3lZbcrr2vXlNfly8orN1eEXsePi9ArOTkQoFdMTFsb216xwm53u3U6YP/+hoYtWwCDoaEhOzskhGP3eDgHjx75/fHxgMOh2mYf9C4oEMnPB86eFSkuBjIyREpKgJQUkYoKICEBuHRJedGDdbOylNehQ8rLaFRe69eL0GvpUo6ZPl+/ulyc+dZWl4s1nU6XiyVNJpfL7eZpdbk+fqSvy8XTGBRE/v03cPeuCOfm+nXVNx3S0oBz55T3sWMiFy9yxNyryispSXlt3aq8IiOV1+LF9KKPiMMRFaWYlKR4/jzw/bvDYbcDXV0Ox4sXQF2dw8FdfuMG54unVzEhQdFgUAwJIZctA27eFFm3Digs5G0F5OSIJCdzzdRepFd4uPLS6eilfGy2yEhFo1GRNUiak1VVik1NwI8fNhtvl74+m439NzYqOp2KhYWKGRmK27crGgyK8+eTixYBFouIwcA1ZS69lI/ZzFxS3cRms7qBzWaak1xhkutHtrYqDg8rsp+fHB5WbG1VdLsVS0sVTSbF1FTF2FhFg0FRpzObF2rbYg6CtHv6d3CHqPg37QnW4rkadb8Ac2by+YTMxPNYblb+oqC50/xVexbPyv9jJmZbS2a1v3Sm/L/aOVo+q7xBi4OnvxxB2BI0bzrepjn8o8X84C3R4p2zyjMtnPlZxrXNjAL4vj1kdvC79p3TDSkWYOY9+HrTt+lqG/68P/2+5j8a/YX/AaVaYcFWBwAA",
];
/** The same as ImageMagick shows them, RGB. */
const CMYK_SHOWN =
  "H4sIAAAAAAACAxXL0asMUQCA8U9EYs6KULuzhGSaEYlZDhGN9iRkLo4II3ZEJnIPsStyIhMR0RQRmRdC5klE+yayr6J9lvsH6P4DF/U9/F6+CRhHjFEf4g0I+0QVcUlSkOV0u+QZRUIZU0X0QwYewzpj4t/ExHjtv4Zi5kDU+2JZJdaUYkshduXiUE+cysTFRNyIxYNIPG+Jt5741BDfRO0n4je1P2MuQ5dBk747o3Lnl82lRXN17m7uuTsz9+Bh92TsXojc663mfc99VnffOM2PuF9p/qD5axgwCOj7VD6lP73w5+XBkl6wKvM3Jf6O2D8Q+SdC/7znX6v795zgKf5rgg8EX/C/DyR9SSUpJYUkl9N6cm4mFydy5YjcGMnt4br9njzekOccaZF3kU+Qr5DvkZ/7iqpNqSgUuaKnyNpTEzVnRC2K1IpQbfDUtnp7n6NS1CjqKuoO6jHqJepdpSk1hSbX9DSZJtHEekqkZ4d6oaeXN/R6Ryv0XvQx9Fn0FfRt9CP0i7JD0SHv0EvJOiQpIylRSiud7KWzGukCJw1IJWmbdA/pUTpnSC/TuUX6sDDkhp4hMySG2BAZWgbP0DCTHFPDuBgfsxazFbMbcwRzmtFLmJu5pWvJLIkltkSW0OJZGhbHwv8cbAPrYUNshI2xCTbDdv8CbFvL7VgCAAA=";

Deno.test("decodeTiff() shows CMYK as RGB", async () => {
  const unpacked = (text: string) => new Uint8Array(gunzipSync(Uint8Array.fromBase64(text)));
  const shown = unpacked(CMYK_SHOWN);
  for (const file of CMYK) {
    const { width, height, channels, data } = await decodeTiff(unpacked(file), MANY);
    assert.deepEqual([width, height, channels], [20, 10, 3]);
    data.forEach((value, at) => assert.ok(Math.abs(value - shown[at]) <= 1, String(at)));
  }
});
