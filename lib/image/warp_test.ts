import assert from "node:assert/strict";
import type { Pixels } from "./pixels.ts";
import { cutOut, cutSize, quarterTurn } from "./warp.ts";

/** A picture whose colour is a plane, so that bilinear looking up has exact answers. */
function ramp(width: number, height: number, channels: 1 | 3): Pixels {
  const data = new Uint8Array(width * height * channels);
  for (let at = 0; at < width * height; at++) {
    const [x, y] = [at % width, Math.floor(at / width)];
    for (let c = 0; c < channels; c++) data[at * channels + c] = x + 2 * y + c;
  }
  return { width, height, channels, data };
}

Deno.test("cutOut() of a straight box is the very pixels of it", () => {
  const source = ramp(40, 30, 3);
  const cut = cutOut(source, [[5, 4], [25, 4], [25, 14], [5, 14]]);
  assert.deepEqual([cut.width, cut.height], [20, 10]);
  for (let y = 0; y < 10; y++) {
    const from = ((y + 4) * 40 + 5) * 3;
    assert.deepEqual(cut.data.subarray(y * 60, y * 60 + 60), source.data.subarray(from, from + 60));
  }
});

Deno.test("cutOut() begins at the text's top left, however the text runs", () => {
  const source = ramp(40, 30, 1);
  const box = [[5, 4], [25, 4], [25, 14], [5, 14]];
  const straight = cutOut(source, box);
  const turned = cutOut(source, [...box.slice(1), box[0]]); // text from top to bottom
  assert.deepEqual(turned, quarterTurn(straight));
});

Deno.test("cutOut() of a tilted box gives what lies under each pixel", () => {
  const source = ramp(80, 60, 1);
  const [c, s] = [Math.cos(0.3), Math.sin(0.3)];
  const at = (u: number, v: number) => [20 + u * c - v * s, 10 + u * s + v * c];
  const cut = cutOut(source, [at(0, 0), at(40, 0), at(40, 12), at(0, 12)]);
  assert.deepEqual([cut.width, cut.height], [40, 12]);
  for (let v = 0; v < 12; v++) {
    for (let u = 0; u < 40; u++) {
      const [x, y] = at(u + 0.5, v + 0.5);
      const expected = x - 0.5 + 2 * (y - 0.5);
      assert.ok(Math.abs(cut.data[v * 40 + u] - expected) <= 0.51, `${u}, ${v}`);
    }
  }
});

Deno.test("cutOut() repeats the border beyond the border, and undoes perspective", () => {
  const over = cutOut(ramp(40, 30, 1), [[-10, 0], [10, 0], [10, 10], [-10, 10]]);
  assert.deepEqual([...over.data.subarray(0, 12)], [...Array(11).fill(0), 1]);
  // A square seen from the side: its middle is where its diagonals meet, not its mean point.
  const corners = [[0, 0], [60, 20], [60, 40], [0, 59]];
  const source = ramp(64, 64, 1);
  const cut = cutOut(source, corners, { width: 61, height: 61 });
  const [x, y] = [44.81, 29.87]; // where (0,0)–(60,40) and (60,20)–(0,59) meet
  assert.ok(Math.abs(cut.data[30 * 61 + 30] - (x - 0.5 + 2 * (y - 0.5))) < 1);
});

Deno.test("cutSize() takes the longer sides and is never nothing", () => {
  assert.deepEqual(cutSize([[0, 0], [30, 0], [40, 10], [0, 12]]), { width: 40, height: 14 });
  assert.deepEqual(cutSize([[0, 0], [0.2, 0], [0.2, 0.2], [0, 0.2]]), { width: 1, height: 1 });
});
