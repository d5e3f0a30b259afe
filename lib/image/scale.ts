/**
 * @module image/scale: a smaller picture of a picture.
 */

import type { Pixels } from "./pixels.ts";

/**
 * The picture made smaller, each new pixel the mean of the area that it covers, so that text stays
 * readable. Never larger: one that fits already comes back as it is.
 *
 * @param maxWidth Pixels, at least 1; the sides keep their ratio as far as whole pixels allow.
 */
export function scaleDown(pixels: Pixels, maxWidth: number, maxHeight: number): Pixels {
  const { width, height, channels, data } = pixels;
  const factor = Math.min(1, maxWidth / width, maxHeight / height);
  if (factor === 1) return pixels;
  const newWidth = Math.max(1, Math.round(width * factor));
  const newHeight = Math.max(1, Math.round(height * factor));
  const out = new Uint8Array(newWidth * newHeight * channels);
  const across = shares(width, newWidth);
  const down = shares(height, newHeight);
  const sums = new Float32Array(newWidth * channels); // of the row that is being made
  const row = new Float32Array(newWidth * channels); // an old row, made narrower
  let narrowed = -1; // which one
  for (let y = 0; y < newHeight; y++) {
    sums.fill(0);
    for (let k = 0; k < down.each; k++) {
      const share = down.share[y * down.each + k];
      const old = Math.min(height - 1, down.first[y] + k);
      if (share === 0) continue;
      // The last row of one new pixel is often the first of the next.
      if (old !== narrowed) narrow(data, old * width * channels, row, across, channels);
      narrowed = old;
      for (let i = 0; i < sums.length; i++) sums[i] += row[i] * share;
    }
    const to = y * sums.length;
    for (let i = 0; i < sums.length; i++) out[to + i] = sums[i] + 0.5;
  }
  return { width: newWidth, height: newHeight, channels, data: out };
}

function narrow(
  data: Uint8Array,
  start: number,
  row: Float32Array,
  { first, share, each }: Shares,
  channels: number,
): void {
  for (let x = 0, to = 0; x < first.length; x++) {
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      let from = start + first[x] * channels + c;
      for (let k = 0, at = x * each; k < each; k++, at++, from += channels) {
        if (share[at] !== 0) sum += data[from] * share[at];
      }
      row[to++] = sum;
    }
  }
}

/** Which old pixels a new one covers, and which share of it each of them has. */
interface Shares {
  /** By new pixel the first old one. */
  readonly first: Uint32Array;
  /** By new pixel `each` shares, which add up to 1. */
  readonly share: Float32Array;
  readonly each: number;
}

function shares(from: number, to: number): Shares {
  const step = from / to;
  const each = Math.ceil(step) + 1;
  const first = new Uint32Array(to);
  const share = new Float32Array(to * each);
  for (let i = 0; i < to; i++) {
    const [start, end] = [i * step, Math.min(from, (i + 1) * step)];
    first[i] = Math.min(from - 1, Math.floor(start));
    for (let k = 0; k < each; k++) {
      const old = first[i] + k;
      const covered = Math.min(old + 1, end) - Math.max(old, start);
      if (old < from && covered > 1e-9) share[i * each + k] = covered / (end - start);
    }
  }
  return { first, share, each };
}
