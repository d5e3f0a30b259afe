import assert from "node:assert/strict";
import { mediaType, otherType } from "./media_type.ts";

const text = (content: string) => new TextEncoder().encode(content);
const bytes = (...values: number[]) => new Uint8Array([...values, ...new Array(40).fill(0)]);

/** A ZIP archive with empty entries of the given names. */
function zip(...names: string[]): Uint8Array {
  const local = bytes(0x50, 0x4b, 0x03, 0x04);
  const entries = names.map((name) => {
    const entry = new Uint8Array(46 + name.length);
    new DataView(entry.buffer).setUint32(0, 0x02014b50, true);
    new DataView(entry.buffer).setUint16(28, name.length, true);
    entry.set(text(name), 46);
    return entry;
  });
  const end = new Uint8Array(22 + 3);
  new DataView(end.buffer).setUint32(0, 0x06054b50, true);
  new DataView(end.buffer).setUint32(16, local.length, true);
  new DataView(end.buffer).setUint16(20, 3, true);
  return new Uint8Array([local, ...entries, end].flatMap((part) => [...part]));
}

Deno.test("mediaType() recognises every type by content", () => {
  const cases: [extension: string | undefined, content: Uint8Array][] = [
    ["jpg", bytes(0xff, 0xd8, 0xff, 0xe0)],
    ["png", bytes(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)],
    ["tiff", bytes(0x49, 0x49, 0x2a, 0)],
    ["tiff", bytes(0x4d, 0x4d, 0, 0x2a)],
    ["heic", bytes(0, 0, 0, 24, ...text("ftypheic"))],
    ["heic", bytes(0, 0, 0, 24, ...text("ftypmif1"))],
    ["webp", text("RIFF\x10\0\0\0WEBPVP8 ")],
    ["pdf", text("%PDF-1.7\n")],
    ["pdf", text("\n\njunk before %PDF-1.4")],
    ["bmp", bytes(0x42, 0x4d, 70, 0, 0, 0, 0, 0, 0, 0, 54)],
    ["docx", zip("[Content_Types].xml", "word/document.xml")],
    ["pptx", zip("[Content_Types].xml", "ppt/presentation.xml")],
    ["xlsx", zip("[Content_Types].xml", "xl/workbook.xml")],
    [undefined, zip("a.txt")],
    [undefined, bytes(0x50, 0x4b, 0x03, 0x04)],
    [undefined, text("GIF89a")],
    [undefined, text("<html><body>not found</body></html>")],
    [undefined, text("BMW is not a bitmap, nor is it any other image")],
    [undefined, bytes(0, 0, 0, 24, ...text("ftypisom"))],
    [undefined, new Uint8Array()],
  ];
  for (const [extension, content] of cases) {
    assert.equal(mediaType(content)?.extension, extension, `${extension}: ${content.slice(0, 12)}`);
  }
});

Deno.test("otherType() names what no engine takes, by content", () => {
  const table: [begin: string, name: string, advice: RegExp][] = [
    ["RIFF\x10\0\0\0WEBPVP8 ", "a WebP image", /convert/],
    ["GIF89a\x01\0", "a GIF image", /convert/],
    ["\0\0\0\x1cftypavif\0\0\0\0", "an AVIF image", /convert/],
    ["\0\0\0\x0cJXL \r\n", "a JPEG XL image", /convert/],
    ["\xff\x0a\x01", "a JPEG XL image", /convert/],
    ["\0\0\0\x0cjP  \r\n", "a JPEG 2000 image", /convert/],
    ["\0\0\x01\0\x01\0", "an icon", /convert/],
    ["\0\0\0\x18ftypmp42", "a video", /convert/],
    ["8BPS\0\x01", "a Photoshop image", /convert/],
    ["%!PS-Adobe-3.0", "a PostScript file", /PDF/],
    ["\xd0\xcf\x11\xe0\xa1\xb1", "an old Office or HWP file", /PDF/],
    ["{\\rtf1", "an RTF document", /PDF/],
    ["\x1f\x8b\x08", "a compressed file", /unpack/],
    ["PK\x03\x04", "an archive", /unpack/],
    ["PAR1\x15\0", "a Parquet file", /look at/],
    ["version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer", /git lfs pull/],
    ['<svg xmlns="x">', "an SVG drawing", /convert/],
    ['\xef\xbb\xbf<?xml version="1.0"?>\n<!-- a --><svg>', "an SVG drawing", /convert/],
    ["\n<!-- a -->\n<!DOCTYPE html><html>", "an HTML page", /look at/],
    ["<HTML><body>", "an HTML page", /look at/],
    ['<?xml version="1.0"?><Error><Code>AccessDenied', "an XML document", /look at/],
    ['{"error": "x"}', "JSON text", /look at/],
    ["[]", "JSON text", /look at/],
    ["not found\n", "a text file", /look at/],
  ];
  for (const [begin, name, advice] of table) {
    const bytes = Uint8Array.from(begin, (character) => character.charCodeAt(0));
    // An engine that takes WebP has it recognised; for the others it stands here, too.
    if (name !== "a WebP image") assert.equal(mediaType(bytes), undefined, name);
    const other = otherType(bytes);
    assert.equal(other?.name, name);
    assert.match(other!.advice, advice);
  }
  assert.equal(otherType(new Uint8Array()), undefined);
  assert.equal(otherType(new Uint8Array([1, 2, 3])), undefined);
});
