/**
 * @module engine/frame_probe: finds out whether an engine reads pictures upright or as they are
 * stored, by what it answers to one whose text is at the top left only once EXIF has turned it.
 * Half turns, mirrored pictures and squares look alike either way, so nothing else tells.
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { mediaType } from "../image/media_type.ts";
import type { Frame } from "../image/frame.ts";
import type { AnswerPage, ImageFile } from "./engine.ts";
import { PICTURE } from "./frame_probe_picture.ts";

/** What its header says (`dev/build/frame_probe.ts`). */
const HEADER = { width: 640, height: 400, orientation: 3 } as const;

/** The picture, as it is sent. */
export function probePicture(): ImageFile {
  const bytes = new Uint8Array(Buffer.from(PICTURE.join(""), "base64"));
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { bytes, sha256, mediaType: mediaType(bytes)!, picture: HEADER };
}

/**
 * The frame that an answer to {@linkcode probePicture} shows: `unknown` where no word was read, or
 * words lie elsewhere than they can.
 */
export function probedFrame({ width, height, words }: AnswerPage): Frame {
  if (!(width > 0 && height > 0)) return "unknown";
  const places = new Set(words.map(({ polygon }): Frame => {
    const middle = (axis: 0 | 1) =>
      polygon.reduce((sum, point) => sum + point[axis], 0) / polygon.length;
    const [left, top] = [middle(0) < width / 2, middle(1) < height / 2];
    return left !== top ? "unknown" : left ? "upright" : "stored";
  }));
  const [place = "unknown"] = places;
  return places.size === 1 ? place : "unknown";
}
