import assert from "node:assert/strict";
import fc from "fast-check";
import { readRuns } from "./runs.ts";

interface Run {
  readonly packed: boolean;
  readonly values: number[];
}

/** Encodes by the text of the specification: numbers as strings of bits. */
function encode(runs: readonly Run[], width: number): number[] {
  return runs.flatMap(({ packed, values }) => {
    if (!packed) {
      const bytes = Array.from(
        { length: Math.ceil(width / 8) },
        (_, at) => Math.floor(values[0] / 256 ** at) % 256,
      );
      return [...varint(values.length * 2), ...bytes];
    }
    const bits = values.map((value) => value.toString(2).padStart(width, "0")).reverse().join("");
    const bytes = bits.match(/.{8}/g)!.map((byte) => parseInt(byte, 2)).reverse();
    return [...varint(values.length / 8 * 2 + 1), ...bytes];
  });
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [value % 128 + 128, ...varint(Math.floor(value / 128))];
}

function readerOf(bytes: readonly number[]) {
  return { view: new DataView(Uint8Array.from(bytes).buffer), offset: 0 };
}

Deno.test("readRuns() reads runs and packed groups of every width", () => {
  const cases = fc.integer({ min: 1, max: 32 }).chain((width) => {
    const value = fc.integer({ min: 0, max: 2 ** width - 1 });
    const run = fc.tuple(value, fc.integer({ min: 1, max: 300 })).map(([each, count]): Run => ({
      packed: false,
      values: Array.from({ length: count }, () => each),
    }));
    const packed = fc.array(fc.tuple(...Array.from({ length: 8 }, () => value)), {
      minLength: 1,
      maxLength: 5,
    }).map((groups): Run => ({ packed: true, values: groups.flat() }));
    return fc.record({ width: fc.constant(width), runs: fc.array(fc.oneof(run, packed)) });
  });
  fc.assert(fc.property(cases, fc.nat(7), fc.boolean(), ({ width, runs }, short, prefixed) => {
    const values = runs.flatMap((run) => run.values);
    // The last group is padded to eight numbers, so the target may be shorter.
    const expected = values.slice(0, Math.max(0, values.length - short));
    const bytes = encode(runs, width);
    const size = [bytes.length, 0, 0, 0];
    size.splice(0, 2, bytes.length % 256, bytes.length >> 8);
    const reader = readerOf([...(prefixed ? size : []), ...bytes, 99]);
    const target = new Uint32Array(expected.length);
    readRuns(reader, width, target, prefixed ? undefined : bytes.length);
    assert.deepEqual(Array.from(target), expected);
    assert.equal(reader.view.getUint8(reader.offset), 99);
  }));
});

Deno.test("readRuns() fills no more than the target, however long a run claims to be", () => {
  const target = readRuns(readerOf([...varint(2 ** 31), 1]), 1, new Uint8Array(5), 6);
  assert.deepEqual(target, Uint8Array.of(1, 1, 1, 1, 1));
});

Deno.test("readRuns() throws where the data ends early or makes no sense", () => {
  const read = (bytes: number[], width = 1) =>
    readRuns(readerOf(bytes), width, new Uint8Array(9), 9);
  assert.throws(() => read([]), RangeError);
  assert.throws(() => read([3]), RangeError);
  assert.throws(() => read([4, 1]), RangeError);
  assert.throws(() => read([255, 255, 255, 255, 255, 1]), /more than five bytes/);
  assert.throws(() => read([2, 1], 0), /0 bits/);
  assert.throws(() => read([2, 1], 33), /33 bits/);
});
