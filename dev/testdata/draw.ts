/**
 * @module testdata/draw: draws a receipt as an image and says where each word stands.
 *
 * Boxes come from measuring the ink of each word, so they are exact. The same receipt and random
 * numbers give the same pixels; encoded bytes may differ between versions of the canvas.
 */

import { createRequire } from "node:module";
import { createCanvas, GlobalFonts, type SKRSContext2D } from "@napi-rs/canvas";
// Only so that the package is in the module graph: its fonts are then found by `require.resolve`.
import "@expo-google-fonts/noto-sans-kr/package.json" with { type: "json" };
import type { Receipt } from "./receipts.ts";
import type { TruthPage, TruthWord } from "../doubles/ocr/score.ts";

/** A drawn receipt: its image file and its truth. */
export interface Drawing {
  /** The encoded image. */
  readonly bytes: Uint8Array;
  /** Size and words. */
  readonly truth: TruthPage;
}

/** Makes the three weights of the font known under `Receipt400`, `Receipt500` and `Receipt700`. */
export function registerFonts(): void {
  const { resolve } = createRequire(import.meta.url);
  for (const face of ["400Regular", "500Medium", "700Bold"]) {
    const path = resolve(`@expo-google-fonts/noto-sans-kr/${face}/NotoSansKR_${face}.ttf`);
    GlobalFonts.registerFromPath(path, `Receipt${face.slice(0, 3)}`);
  }
}

/**
 * Draws a receipt. Call {@linkcode registerFonts} once before.
 *
 * @param random Numbers from 0 up to 1, the only source of irregularity.
 */
export async function drawReceipt(receipt: Receipt, random: () => number): Promise<Drawing> {
  const { width, fontSize, lines } = receipt;
  const margin = receipt.table ? 70 : 44;
  const heights = lines.map((line) => fontSize * lineHeight(line));
  const height = Math.round(heights.reduce((sum, h) => sum + h, 2 * margin + 20));
  const canvas = createCanvas(width, height);
  const context = canvas.getContext("2d");
  const angle = receipt.turn * Math.PI / 180;

  drawPaper(context, receipt, height, random);
  context.translate(width / 2, height / 2);
  context.rotate(angle);
  context.translate(-width / 2, -height / 2);
  context.textBaseline = "alphabetic";

  const words: TruthWord[] = [];
  let y = margin;
  for (const [i, line] of lines.entries()) {
    const boxes = drawLine(context, receipt, line, margin, y + heights[i] * 0.72, random);
    for (const { text, box: [x0, y0, x1, y1] } of boxes) {
      const corners = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
      words.push({ text, polygon: corners.map((corner) => rotate(corner, angle, width, height)) });
    }
    y += heights[i];
  }
  context.resetTransform();
  if (receipt.format === "jpg") addGrain(context, width, height, random);
  const bytes = await (receipt.format === "jpg" ? canvas.encode("jpeg", 72) : canvas.encode("png"));
  return { bytes, truth: { width, height, words } };
}

/** Height of a line in font sizes. */
function lineHeight(line: string): number {
  if (line === "") return 0.6;
  if (line === "---" || line === "===") return 0.9;
  if (line === "|||") return 3.6;
  return line.startsWith("# ") ? 2.3 : line.startsWith("! ") ? 1.9 : 1.6;
}

interface Placed {
  text: string;
  box: [x0: number, y0: number, x1: number, y1: number];
}

/** Draws a line on the baseline `y` and returns its words. */
function drawLine(
  context: SKRSContext2D,
  receipt: Receipt,
  line: string,
  margin: number,
  y: number,
  random: () => number,
): Placed[] {
  const { width, fontSize, weight, ink } = receipt;
  const right = width - margin;
  context.fillStyle = ink;
  if (line === "") return [];
  if (line === "---") {
    for (let x = margin; x < right - 4; x += 13) context.fillRect(x, y - 8, 8, 1.6);
    return [];
  }
  if (line === "===") {
    context.fillRect(margin, y - 8, right - margin, 2);
    return [];
  }
  if (line === "|||") {
    for (let x = width * 0.25; x < width * 0.75;) {
      const bar = 1 + Math.floor(random() * 4);
      context.fillRect(x, y - fontSize * 2.2, bar, fontSize * 2.2);
      x += bar + 2 + Math.floor(random() * 4);
    }
    return [];
  }
  const [, mark = "", text] = /^([#^!] )?(.*)$/s.exec(line) ?? [];
  const scale = mark === "# " ? 1.5 : mark === "! " ? 1.2 : 1;
  const face = mark === "# " || mark === "! " ? 700 : weight;
  context.font = `${fontSize * scale}px Receipt${face}`;
  if (mark === "# " || mark === "^ ") {
    return drawWords(context, text, (width - widthOf(context, text)) / 2, y);
  }
  const cells = text.split(" | ");
  return cells.flatMap((cell, i) => {
    if (i === 0) return drawWords(context, cell, margin, y);
    const end = i === cells.length - 1 ? right : margin + (right - margin) * 0.68;
    return drawWords(context, cell, end - widthOf(context, cell), y);
  });
}

/** Widens the font's narrow space to that of a receipt printer. */
const SPACE = 1.6;

/** The width of a text in pixels as {@linkcode drawWords} draws it. */
function widthOf(context: SKRSContext2D, text: string): number {
  return (text.match(/ +|[^ ]+/g) ?? []).reduce(
    (sum, part) => sum + context.measureText(part).width * (part.trim() === "" ? SPACE : 1),
    0,
  );
}

/** Draws words from `x` on, one by one so that the box of each is that of its own ink. */
function drawWords(context: SKRSContext2D, text: string, x: number, y: number): Placed[] {
  const placed: Placed[] = [];
  for (const part of text.match(/ +|[^ ]+/g) ?? []) {
    const size = context.measureText(part);
    if (part.trim() !== "") {
      context.fillText(part, x, y);
      placed.push({
        text: part,
        box: [
          x - size.actualBoundingBoxLeft,
          y - size.actualBoundingBoxAscent,
          x + size.actualBoundingBoxRight,
          y + size.actualBoundingBoxDescent,
        ],
      });
    }
    x += size.width * (part.trim() === "" ? SPACE : 1);
  }
  return placed;
}

/** Paper with its tint and a soft shade, on a table if the receipt says so. */
function drawPaper(
  context: SKRSContext2D,
  receipt: Receipt,
  height: number,
  random: () => number,
): void {
  const { width, paper: [red, green, blue], table, turn } = receipt;
  const tint = (factor: number) =>
    `rgb(${Math.round(red * factor)},${Math.round(green * factor)},${Math.round(blue * factor)})`;
  context.save();
  if (table) {
    context.fillStyle = "#6f5f50";
    context.fillRect(0, 0, width, height);
    context.translate(width / 2, height / 2);
    context.rotate(turn * Math.PI / 180);
    context.translate(-width / 2, -height / 2);
    context.shadowColor = "rgba(0,0,0,0.5)";
    context.shadowBlur = 16;
    context.shadowOffsetY = 4;
  }
  const edge = table ? 28 : 0;
  const shade = context.createLinearGradient(0, 0, width, height * (0.5 + random() * 0.5));
  shade.addColorStop(0, tint(1));
  shade.addColorStop(0.55 + random() * 0.2, tint(0.985));
  shade.addColorStop(1, tint(0.93));
  context.fillStyle = receipt.format === "jpg" ? shade : tint(1); // a PNG is a clean scan
  context.fillRect(edge, edge, width - 2 * edge, height - 2 * edge);
  if (receipt.format === "jpg") {
    // A fold across the paper.
    context.shadowColor = "transparent";
    context.fillStyle = "rgba(60,60,60,0.05)";
    context.fillRect(edge, height * (0.4 + random() * 0.2), width - 2 * edge, 3);
  }
  context.restore();
}

/** The fine grain of a photograph. */
function addGrain(
  context: SKRSContext2D,
  width: number,
  height: number,
  random: () => number,
): void {
  const image = context.getImageData(0, 0, width, height);
  for (let i = 0; i < image.data.length; i += 4) {
    const grain = (random() - 0.5) * 9;
    for (let channel = 0; channel < 3; channel++) image.data[i + channel] += grain;
  }
  context.putImageData(image, 0, 0);
}

/** A point after the turn around the middle of the image, to a tenth of a pixel. */
function rotate([x, y]: number[], angle: number, width: number, height: number): number[] {
  const [dx, dy] = [x - width / 2, y - height / 2];
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  return [width / 2 + dx * cos - dy * sin, height / 2 + dx * sin + dy * cos]
    .map((value) => Math.round(value * 10) / 10);
}
