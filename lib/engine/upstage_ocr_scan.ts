/**
 * @module engine/upstage_ocr_scan: reads an answer of Document OCR off its bytes, if it is to the
 * letter as documented, as almost all are. As objects a word takes a dozen of them, which the
 * collector goes through several times; here the words of a page become three lists. Whatever is
 * missing, unknown, out of range or unusual in any other way is left to `engine/upstage_ocr.ts`,
 * which defines what an answer means. Pure.
 */

import { tolerance } from "../dataset/check_row.ts";
import { QUAD } from "../dataset/quads.ts";
import { flatPage } from "./answer.ts";
import type { Answer, AnswerPage, FlatWords } from "./engine.ts";
import { EXACT_DIGITS, longDecimal, MAX_DIGITS, power } from "./decimal.ts";
import { isBill, MAX_SIDE } from "./sound_answer.ts";

/** What was read off an answer's bytes; stands for its JSON. */
export class Scanned {
  /** The answer. */
  readonly answer: Answer;
  /** Its bill. */
  readonly billedPages: number;

  /** Both together. */
  constructor(answer: Answer, billedPages: number) {
    [this.answer, this.billedPages] = [answer, billedPages];
  }
}

/**
 * Reads an answer that is to the letter as documented.
 *
 * @param utf8 Well-formed UTF-8.
 * @returns `undefined` for any other answer, and for what is no JSON.
 */
export function scanAnswer(utf8: Uint8Array): Scanned | undefined {
  try {
    return new Scan(utf8).answer();
  } catch (error) {
    if (error === UNUSUAL) return undefined;
    throw error;
  }
}

/** Thrown by whatever finds something that is not for it. */
const UNUSUAL = Symbol("unusual answer");

function unusual(): never {
  throw UNUSUAL;
}

const [QUOTE, COMMA, MINUS, DOT, ZERO, NINE] = [0x22, 0x2c, 0x2d, 0x2e, 0x30, 0x39];
const [COLON, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN, CLOSE] = [0x3a, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];

const names = (text: string) =>
  text.split(" ").map((name) => Uint8Array.from(name, (letter) => letter.charCodeAt(0)));
const ANSWER_FIELDS = names(
  "apiVersion modelVersion mimeType confidence numBilledPages stored metadata text pages",
);
const [MODEL, BILL, PAGES] = [1, 4, 8];
const PAGE_FIELDS = names("id width height confidence text words");
const [WIDTH, HEIGHT, PAGE_CONFIDENCE, WORDS] = [1, 2, 3, 5];
const WORD_FIELDS = names("boundingBox confidence id text");
const [BOX, CONFIDENCE, ID, TEXT] = [0, 1, 2, 3];
const BOX_FIELDS = names("vertices");
const VERTEX_FIELDS = names("x y");

/** No word is shorter, bytes: its fields with nothing in them, and four corners of a digit each. */
const LEAST_WORD = 100;
/** Longest number that is read, bytes. */
const MAX_NUMBER = 32;

/** One reading of an answer, from its first byte to its last. */
class Scan {
  readonly #bytes: Uint8Array;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #at = 0;
  /** Which field of a word is looked for first. */
  #wordField = 0;
  /** Words of the page at hand: their boxes, confidences and texts, which end there in `#texts`. */
  #points: Float64Array<ArrayBuffer> = new Float64Array(0);
  #confidences: number[] = [];
  #ends: number[] = [];
  /** Texts of the page, one behind the other, in UTF-8, and their length in UTF-16. */
  #texts: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #bytesOfTexts = 0;
  #units = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  answer(): Scanned {
    let model: string | undefined;
    let bill: number | undefined;
    const pages: AnswerPage[] = [];
    this.#object(ANSWER_FIELDS, (field) => {
      if (field === MODEL) model = this.#shortText();
      else if (field === BILL) bill = this.#number();
      else if (field === PAGES) this.#list(() => pages.push(this.#page()));
      else this.#skip();
    });
    this.#space();
    if (this.#at !== this.#bytes.length || model === undefined || pages.length === 0) unusual();
    if (!isBill(bill)) unusual();
    return new Scanned(
      { modelVersion: model!, pages: pages as unknown as Answer["pages"] },
      bill! + 0, // −0 + 0 is 0
    );
  }

  #page(): AnswerPage {
    let [width, height, confidence] = [0, 0, -1];
    let flat: FlatWords | undefined;
    this.#object(PAGE_FIELDS, (field) => {
      if (field === WIDTH) width = this.#side();
      else if (field === HEIGHT) height = this.#side();
      else if (field === PAGE_CONFIDENCE) confidence = this.#share();
      else if (field === WORDS) flat = this.#words();
      else this.#skip();
    });
    if (width === 0 || height === 0 || confidence < 0 || !flat) unusual();
    checkQuads(flat!.quads.points, width, height);
    return flatPage({ width, height, confidence }, flat!);
  }

  #words(): FlatWords {
    const most = Math.ceil((this.#bytes.length - this.#at) / LEAST_WORD);
    this.#points = new Float64Array(QUAD * most);
    this.#texts = new Uint8Array(this.#bytes.length >> 4);
    [this.#confidences, this.#ends, this.#bytesOfTexts, this.#units] = [[], [], 0, 0];
    let length = 0;
    this.#list(() => {
      if (length === most) unusual();
      this.#word(QUAD * length++);
    });
    const all = this.#decoder.decode(this.#texts.subarray(0, this.#bytesOfTexts));
    const ends = this.#ends;
    const texts = new Array<string>(length);
    for (let n = 0; n < length; n++) texts[n] = all.substring(n === 0 ? 0 : ends[n - 1], ends[n]);
    // What is too much is given back at once, not when the collector finds it.
    const points = new Float64Array(this.#points.buffer.transfer(8 * QUAD * length));
    this.#texts.buffer.transfer(0);
    return { length, texts, confidences: this.#confidences, quads: { length, points } };
  }

  /** Without a closure for each. @param at Where its box goes. */
  #word(at: number): void {
    let seen = 0;
    this.#take(OPEN);
    do {
      const field = this.#field(WORD_FIELDS, this.#wordField);
      this.#wordField = field + 1 & 3; // the next one, in most answers
      if (seen & 1 << field) unusual();
      seen |= 1 << field;
      if (field === TEXT) {
        this.#text();
        this.#ends.push(this.#units);
      } else if (field === CONFIDENCE) this.#confidences.push(this.#share());
      else if (field === BOX) this.#box(at);
      else this.#skip();
    } while (this.#goesOn(CLOSE));
    if ((seen | 1 << ID) !== 15) unusual();
  }

  #box(at: number): void {
    this.#take(OPEN);
    this.#field(BOX_FIELDS);
    this.#take(OPEN_LIST);
    for (let corner = 0; corner < 4; corner++) {
      if (corner > 0) this.#take(COMMA);
      this.#take(OPEN);
      const first = this.#axis();
      this.#points[at + 2 * corner + first] = this.#number();
      this.#take(COMMA);
      const second = this.#axis();
      if (second === first) unusual();
      this.#points[at + 2 * corner + second] = this.#number();
      this.#take(CLOSE);
    }
    this.#take(CLOSE_LIST);
    this.#take(CLOSE);
  }

  /** 0 for a field x, 1 for y. */
  #axis(): number {
    const bytes = this.#bytes;
    const at = this.#at;
    const axis = bytes[at + 1] - 0x78; // x
    const short = bytes[at] === QUOTE && bytes[at + 2] === QUOTE && bytes[at + 3] === COLON;
    if (!short || (axis !== 0 && axis !== 1) || bytes[at + 4] <= 0x20) {
      return this.#field(VERTEX_FIELDS);
    }
    this.#at = at + 4;
    return axis;
  }

  /** An object of known fields, each at most once. */
  #object(fields: readonly Uint8Array[], take: (field: number) => void): void {
    let seen = 0;
    this.#take(OPEN);
    do {
      const field = this.#field(fields);
      if (seen & 1 << field) unusual();
      seen |= 1 << field;
      take(field);
    } while (this.#goesOn(CLOSE));
  }

  #list(take: () => void): void {
    this.#take(OPEN_LIST);
    this.#space();
    if (this.#bytes[this.#at] === CLOSE_LIST) {
      this.#at++;
      return;
    }
    do take(); while (this.#goesOn(CLOSE_LIST));
  }

  #space(): void {
    const bytes = this.#bytes;
    for (let byte; (byte = bytes[this.#at]) <= 0x20; this.#at++) {
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) unusual();
    }
  }

  #take(byte: number): void {
    if (this.#bytes[this.#at] !== byte) this.#space();
    if (this.#bytes[this.#at++] !== byte) unusual();
  }

  /** Whether a comma follows, and not the end. */
  #goesOn(end: number): boolean {
    if (this.#bytes[this.#at] <= 0x20) this.#space();
    const byte = this.#bytes[this.#at++];
    if (byte === COMMA) return true;
    if (byte !== end) unusual();
    return false;
  }

  /** Which of these the next field is, its colon included. @param first Where to begin looking. */
  #field(fields: readonly Uint8Array[], first = 0): number {
    this.#take(QUOTE);
    const bytes = this.#bytes;
    const start = this.#at;
    for (let looked = 0; looked < fields.length; looked++) {
      const n = (first + looked) % fields.length;
      const name = fields[n];
      let i = 0;
      while (i < name.length && bytes[start + i] === name[i]) i++;
      if (i < name.length || bytes[start + i] !== QUOTE) continue;
      this.#at = start + i + 1;
      this.#take(COLON);
      if (bytes[this.#at] <= 0x20) this.#space();
      return n;
    }
    return unusual();
  }

  /** A number without an exponent, exactly as JSON has it; no negative zero. */
  #number(): number {
    const bytes = this.#bytes;
    const start = this.#at;
    const negative = bytes[start] === MINUS;
    let at = negative ? start + 1 : start;
    let value = 0; // of the first digits
    let rest = 0; // of those behind them
    let digits = 0;
    let byte = bytes[at];
    if (byte === ZERO) {
      byte = bytes[++at];
      if (byte >= ZERO && byte <= NINE) unusual();
    } else {
      for (; byte >= ZERO && byte <= NINE; byte = bytes[++at], digits++) {
        if (digits < EXACT_DIGITS) value = value * 10 + byte - ZERO;
        else rest = rest * 10 + byte - ZERO;
      }
      if (digits === 0) unusual();
    }
    let behind = 0; // digits behind the point
    if (byte === DOT) {
      for (byte = bytes[++at]; byte >= ZERO && byte <= NINE; byte = bytes[++at], behind++) {
        if (digits + behind < EXACT_DIGITS) value = value * 10 + byte - ZERO;
        else rest = rest * 10 + byte - ZERO;
      }
      if (behind === 0) unusual();
    }
    if (byte === 0x45 || byte === 0x65) unusual(); // E, e
    this.#at = at;
    digits += behind;
    let number: number;
    // Both are exact, so their quotient is rounded as the decimal itself would be.
    if (digits <= EXACT_DIGITS) number = behind === 0 ? value : value / power(behind);
    else {
      const found = digits <= MAX_DIGITS
        ? longDecimal(value, rest, power(digits - EXACT_DIGITS), power(behind))
        : NaN;
      if (Number.isNaN(found)) {
        if (at - start > MAX_NUMBER) unusual();
        return Number(String.fromCharCode(...bytes.subarray(start, at)));
      }
      number = found;
    }
    if (number === 0 && negative) unusual();
    return negative ? -number : number;
  }

  /** From 0 to 1. */
  #share(): number {
    const value = this.#number();
    return value >= 0 && value <= 1 && !Object.is(value, -0) ? value : unusual();
  }

  #side(): number {
    const value = this.#number();
    return Number.isInteger(value) && value >= 1 && value <= MAX_SIDE ? value : unusual();
  }

  /** A text without escapes that is one of a few, such as a version. */
  #shortText(): string {
    this.#take(QUOTE);
    const start = this.#at;
    for (let byte; (byte = this.#bytes[this.#at]) !== QUOTE; this.#at++) {
      if (!(byte >= 0x20) || byte === BACKSLASH) unusual();
    }
    return this.#decoder.decode(this.#bytes.subarray(start, this.#at++));
  }

  /** Adds a text to those of the page. */
  #text(): void {
    this.#take(QUOTE);
    const bytes = this.#bytes;
    for (;;) {
      const byte = bytes[this.#at++];
      if (byte === QUOTE) return;
      if (!(byte >= 0x20)) unusual(); // the end among them
      if (byte === BACKSLASH) this.#add(this.#escaped());
      else {
        if ((byte & 0xc0) !== 0x80) this.#units += byte >= 0xf0 ? 2 : 1;
        this.#addByte(byte);
      }
    }
  }

  /** A character that is written as an escape, behind its backslash. */
  #escaped(): number {
    const simple = ESCAPES.get(this.#bytes[this.#at++]);
    if (simple !== undefined) return simple;
    if (this.#bytes[this.#at - 1] !== 0x75) unusual(); // u
    const unit = this.#hex();
    if (unit < 0xd800 || unit > 0xdfff) return unit;
    // The first half of a pair; the second must follow.
    if (unit > 0xdbff || this.#bytes[this.#at] !== BACKSLASH) unusual();
    if (this.#bytes[this.#at + 1] !== 0x75) unusual();
    this.#at += 2;
    const second = this.#hex();
    if (second < 0xdc00 || second > 0xdfff) unusual();
    return 0x10000 + (unit - 0xd800 << 10) + second - 0xdc00;
  }

  #hex(): number {
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const byte = this.#bytes[this.#at++] | 0x20; // letters in lower case
      const digit = byte >= ZERO && byte <= NINE ? byte - ZERO : byte - 0x57;
      if (!(digit >= 0 && digit < 16) || byte > 0x66) unusual();
      value = value << 4 | digit;
    }
    return value;
  }

  #add(character: number): void {
    this.#units += character > 0xffff ? 2 : 1;
    if (character < 0x80) return this.#addByte(character);
    if (character < 0x800) this.#addByte(0xc0 | character >> 6);
    else {
      if (character < 0x10000) this.#addByte(0xe0 | character >> 12);
      else {
        this.#addByte(0xf0 | character >> 18);
        this.#addByte(0x80 | character >> 12 & 0x3f);
      }
      this.#addByte(0x80 | character >> 6 & 0x3f);
    }
    this.#addByte(0x80 | character & 0x3f);
  }

  #addByte(byte: number): void {
    if (this.#bytesOfTexts === this.#texts.length) {
      const longer = new Uint8Array(2 * this.#texts.length + 64);
      longer.set(this.#texts);
      this.#texts = longer;
    }
    this.#texts[this.#bytesOfTexts++] = byte;
  }

  /** A value that means nothing to a row; it must be JSON all the same. */
  #skip(): void {
    const bytes = this.#bytes;
    const first = bytes[this.#at];
    if (first === MINUS || first >= ZERO && first <= NINE) return void this.#number();
    if (first === QUOTE) return this.#skipText();
    const start = this.#at;
    let depth = 0;
    do {
      const byte = bytes[this.#at];
      if (byte === undefined) unusual();
      if (byte === QUOTE) this.#skipText();
      else if (depth === 0 && (byte === COMMA || byte === CLOSE)) break; // behind a word
      else {
        if (byte === OPEN || byte === OPEN_LIST) depth++;
        if (byte === CLOSE || byte === CLOSE_LIST) depth--;
        this.#at++;
        if (depth === 0 && (byte === CLOSE || byte === CLOSE_LIST)) break;
      }
    } while (true);
    try {
      JSON.parse(this.#decoder.decode(bytes.subarray(start, this.#at)));
    } catch {
      unusual();
    }
  }

  #skipText(): void {
    const bytes = this.#bytes;
    for (this.#at++;;) {
      const byte = bytes[this.#at++];
      if (byte === QUOTE) return;
      if (!(byte >= 0x20)) unusual();
      if (byte !== BACKSLASH) continue;
      if (bytes[this.#at] === 0x75) {
        this.#at++;
        this.#hex();
      } else if (!ESCAPES.has(bytes[this.#at++])) unusual();
    }
  }
}

/** What stands behind a backslash, and what it means. */
const ESCAPES: ReadonlyMap<number, number> = new Map(
  Array.from('"\\/bfnrt', (letter, n) => [letter.charCodeAt(0), '"\\/\b\f\n\r\t'.charCodeAt(n)]),
);

/**
 * Checks that all corners lie on their page, or a little outside, and puts those of each box in
 * clockwise order from the same first one, as `clockwise` in `engine/upstage_ocr.ts` does.
 */
function checkQuads(points: Float64Array, width: number, height: number): void {
  const out = tolerance(width, height);
  const right = width + out;
  const bottom = height + out;
  // Without lists for pairs: until this is compiled, each would be one for the collector.
  for (let at = 0; at < points.length; at += QUAD) {
    let doubleArea = 0;
    for (let i = 0; i < QUAD; i += 2) {
      const x = points[at + i];
      const y = points[at + i + 1];
      if (!(x >= -out && x <= right && y >= -out && y <= bottom)) unusual();
      if (x === 0 && 1 / x < 0 || y === 0 && 1 / y < 0) unusual(); // −0
      doubleArea += x * points[at + (i + 3 & 7)] - points[at + (i + 2 & 7)] * y;
    }
    if (doubleArea >= 0) continue;
    const x = points[at + 2];
    const y = points[at + 3];
    points[at + 2] = points[at + 6];
    points[at + 3] = points[at + 7];
    points[at + 6] = x;
    points[at + 7] = y;
  }
}
