import assert from "node:assert/strict";
import { readHeader } from "../image/header.ts";
import { openJpegDecoder } from "../image/jpeg.ts";
import { upright } from "../image/upright.ts";
import type { Word } from "./engine.ts";
import { probedFrame, probePicture } from "./frame_probe.ts";

const word = (x: number, y: number): Word => ({
  text: "x",
  confidence: 1,
  polygon: [[x, y], [x + 40, y], [x + 40, y + 10], [x, y + 10]],
});
const frame = (...words: Word[]) => probedFrame({ width: 640, height: 400, confidence: 1, words });

Deno.test("probePicture() is a JPEG to be turned by half, with ink at the upright's top left alone", async () => {
  const { bytes, mediaType, sha256 } = probePicture();
  const { header } = await readHeader((start, end) => Promise.resolve(bytes.subarray(start, end)));
  assert.deepEqual([mediaType.type, header?.orientation], ["image/jpeg", 3]);
  // Another picture would have to be paid for again.
  assert.equal(sha256, SHA256);
  const stored = await (await openJpegDecoder()).decode(bytes, { maxPixels: 1e6 });
  const { width, height, channels, data } = upright(stored, 3);
  const ink = (left: boolean, top: boolean) => {
    let dark = 0;
    for (let at = 0; at < width * height; at++) {
      const [x, y] = [at % width, Math.floor(at / width)];
      if (data[at * channels] < 100 && x < width / 2 === left && y < height / 2 === top) dark++;
    }
    return dark;
  };
  assert.ok(ink(true, true) > 3_000);
  assert.deepEqual([ink(false, true), ink(true, false), ink(false, false)], [0, 0, 0]);
});
const SHA256 = "044695755cd098844968937ee74ed61ded1fe7592bd19ac61e8e208872c5ced7";

Deno.test("probedFrame() believes words that all lie where they can, and nothing else", () => {
  assert.equal(frame(word(36, 40), word(200, 140)), "upright");
  assert.equal(frame(word(560, 350), word(400, 250)), "stored");
  assert.equal(frame(), "unknown");
  assert.equal(frame(word(36, 40), word(560, 350)), "unknown");
  assert.equal(frame(word(500, 40)), "unknown", "turned by a quarter, or mirrored");
  assert.equal(
    probedFrame({ width: 0, height: 0, confidence: null, words: [word(1, 1)] }),
    "unknown",
  );
});
