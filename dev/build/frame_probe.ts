/**
 * @module build/frame_probe: draws the picture by which `probe-frame` finds out in which frame an
 * engine answers, and writes it as `lib/engine/frame_probe_picture.ts`. Run it only for a reason:
 * another picture has to be paid for again.
 *
 *     deno run --config dev/deno.json -A dev/build/frame_probe.ts
 */

import { createCanvas } from "@napi-rs/canvas";
import { openJpegEncoder } from "../../lib/image/jpeg.ts";
import { upright } from "../../lib/image/upright.ts";

const [width, height] = [640, 400];
const LINES = ["FRAME PROBE", "TOTAL 27.18", "KEEP LEFT"];

/** The picture as a JPEG that says it has to be turned by half. */
async function draw(): Promise<Uint8Array<ArrayBuffer>> {
  const context = createCanvas(width, height).getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.fillStyle = "#000";
  context.font = "700 34px sans-serif";
  LINES.forEach((line, at) => context.fillText(line, 36, 60 + 50 * at, 250));
  const { data } = context.getImageData(0, 0, width, height);
  const grey = Uint8Array.from({ length: width * height }, (_, at) => data[4 * at]);
  // A half turn is its own inverse.
  const stored = upright({ width, height, channels: 1, data: grey }, 3);
  const jpeg = await (await openJpegEncoder()).encode(stored, 80);
  const tiff = [0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 3];
  const exif = [...new TextEncoder().encode("Exif\0\0"), ...tiff, 0, 0, 0, 0, 0, 0];
  const segment = [0xff, 0xe1, 0, exif.length + 2, ...exif];
  return Uint8Array.from([...jpeg.subarray(0, 2), ...segment, ...jpeg.subarray(2)]);
}

if (import.meta.main) {
  const base64 = (await draw()).toBase64();
  const lines = base64.match(/.{1,90}/g)!.map((line) => `  "${line}",`).join("\n");
  const text = `/**
 * @module engine/frame_probe_picture: made by \`dev/build/frame_probe.ts\`: a JPEG of 640 × 400
 * pixels with three lines of text, at the top left once EXIF has turned it by half.
 */

/** The file, base64, in pieces. */
export const PICTURE: readonly string[] = [
${lines}
];
`;
  await Deno.writeTextFile(
    new URL("../../lib/engine/frame_probe_picture.ts", import.meta.url),
    text,
  );
}
