/**
 * @module testing/export_readers: reads exports back as their trainers do: each reader follows the
 * published source of the one that it stands for, quirks included.
 */

import assert from "node:assert/strict";

/** Files of an export by name. */
export type ExportFiles = ReadonlyMap<string, string>;

/** What a reader makes of a word or a line. */
export interface ReadEntry {
  readonly text?: string;
  /** The corners, where the format has them. */
  readonly quad?: readonly (readonly number[])[];
  /** Left, top, right, bottom, where it has no corners. */
  readonly box?: readonly number[];
  readonly ignore?: boolean;
  /** The words of a line. */
  readonly words?: readonly ReadEntry[];
}

/** Entries by page, or by crop for recognition. */
export type ReadPages = Map<string, ReadEntry[]>;

const stem = (path: string) => path.replace(/^.*\//, "").replace(/\.[^.]*$/, "");
const pairs = (flat: readonly number[]) =>
  Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);
const json = (text: string) => JSON.parse(text);

/** Files whose names match, in order. */
function files(all: ExportFiles, name: RegExp): [name: string, text: string][] {
  return [...all].filter(([key]) => name.test(key)).sort(([a], [b]) => a < b ? -1 : 1);
}

/** Lines as Python's `readlines` gives them, without their ends. */
function lines(text: string): string[] {
  return text.replace(/\n$/, "").split("\n").filter((_, i, all) => all.length > 1 || all[i] !== "");
}

/** A reader for each format, by name. */
export const READERS: Readonly<Record<string, (all: ExportFiles) => ReadPages>> = {
  // ppocr/data/simple_dataset.py, ppocr/data/imaug/label_ops.py DetLabelEncode
  "paddleocr-det": (all) =>
    new Map(
      files(all, /^\w+\.txt$/).flatMap(([, text]) =>
        lines(text).map((line) => {
          const [path, label, ...rest] = line.split("\t");
          assert.deepEqual(rest, []);
          const boxes = json(label) as { transcription: string; points: number[][] }[];
          assert.ok(boxes.length > 0, "a page without boxes is replaced by another");
          return [
            stem(path),
            boxes.map(({ transcription: text, points }) => ({
              text,
              quad: points,
              ignore: text === "*" || text === "###",
            })),
          ];
        })
      ),
    ),
  // ppocr/data/simple_dataset.py; BaseRecLabelEncode drops characters that dict.txt lacks
  "paddleocr-rec": (all) => {
    const dictionary = new Set([...lines(all.get("dict.txt")!), " "]);
    return new Map(
      files(all, /^(train|val|test)\.txt$/).flatMap(([, text]) =>
        lines(text).map((line) => {
          const [path, label, ...rest] = line.split("\t");
          assert.deepEqual(rest, []);
          return [stem(path), [{ text: [...label].filter((c) => dictionary.has(c)).join("") }]];
        })
      ),
    );
  },
  // mmengine base_dataset.py; mmocr loading.py LoadOCRAnnotations
  "mmocr-det": (all) =>
    new Map(
      files(all, /^textdet_/).flatMap(([, text]) => {
        const { metainfo, data_list } = json(text);
        assert.ok(metainfo && data_list);
        // deno-lint-ignore no-explicit-any
        return data_list.map((page: any) => [
          stem(page.img_path),
          // deno-lint-ignore no-explicit-any
          page.instances.map((instance: any) => {
            assert.equal(instance.bbox.length, 4);
            assert.equal(instance.bbox_label, 0);
            const { text, polygon, ignore } = instance;
            return { text, quad: pairs(polygon), ignore };
          }),
        ]);
      }),
    ),
  "mmocr-rec": (all) => {
    const dictionary = lines(all.get("dict.txt")!);
    assert.ok(dictionary.every((line) => [...line].length === 1), "more than one raises");
    assert.equal(new Set(dictionary).size, dictionary.length, "duplicates raise");
    return new Map(
      files(all, /^textrecog_/).flatMap(([, text]) =>
        // deno-lint-ignore no-explicit-any
        json(text).data_list.map(({ img_path, instances }: any) => {
          assert.ok([...instances[0].text].every((c) => c === " " || dictionary.includes(c)));
          return [stem(img_path), instances];
        })
      ),
    );
  },
  // doctr/datasets/detection.py, recognition.py, ocr.py
  "doctr-det": (all) =>
    new Map(
      files(all, /labels\.json$/).flatMap(([, text]) =>
        Object.entries<{ polygons: number[][][] }>(json(text)).map(([name, { polygons }]) => {
          assert.ok(polygons.length > 0, "breaks the loader");
          return [stem(name), polygons.map((quad) => ({ quad }))];
        })
      ),
    ),
  "doctr-rec": (all) =>
    new Map(
      files(all, /labels\.json$/).flatMap(([, text]) =>
        Object.entries<string>(json(text)).map(([name, label]) => {
          assert.ok([...label].every((c) => all.get("vocab.txt")!.includes(c)));
          return [stem(name), [{ text: label }]];
        })
      ),
    ),
  "doctr-ocr": (all) =>
    new Map(
      files(all, /labels\.json$/).flatMap(([, text]) =>
        // deno-lint-ignore no-explicit-any
        Object.entries<any>(json(text)).map(([name, { typed_words }]) => [
          stem(name),
          // deno-lint-ignore no-explicit-any
          typed_words.map(({ value, geometry }: any) => ({ text: value, box: geometry })),
        ])
      ),
    ),
  // mmocr/datasets/preparers/parsers/icdar_txt_parser.py with base.py loader
  icdar: (all) =>
    new Map(
      files(all, /_gts\/gt_.*\.txt$/).map(([name, text]) => {
        assert.ok(!text.startsWith("\ufeff"), "a byte order mark raises");
        return [
          stem(name).replace(/^gt_/, ""),
          lines(text).map((line) => {
            const parts = line.trim().split(",");
            const numbers = parts.slice(0, 8).map(Number);
            assert.ok(numbers.every(Number.isInteger));
            const label = parts.slice(8).join(",");
            return { text: label, quad: pairs(numbers), ignore: label === "###" };
          }),
        ];
      }),
    ),
  // pycocotools/coco.py createIndex
  coco: (all) =>
    new Map(
      files(all, /^annotations\//).flatMap(([, text]) => {
        const { images, annotations, categories } = json(text);
        assert.deepEqual(categories.map(({ id }: { id: number }) => id), [1]);
        // deno-lint-ignore no-explicit-any
        return images.map(({ id, file_name }: any) => [
          stem(file_name),
          // deno-lint-ignore no-explicit-any
          annotations.filter(({ image_id }: any) => image_id === id).map((each: any) => {
            assert.equal(each.category_id, 1);
            const quad = pairs(each.segmentation[0]);
            return { text: each.text, quad, ignore: each.iscrowd === 1 };
          }),
        ]);
      }),
    ),
  // ultralytics/data/utils.py verify_image_label
  "yolo-obb": (all) =>
    new Map(
      files(all, /^labels\//).map(([name, text]) => [
        stem(name),
        lines(text).map((line) => {
          const numbers = line.split(" ").map(Number);
          assert.equal(numbers.length, 9);
          assert.equal(numbers[0], 0);
          assert.ok(numbers.every((n) => n >= 0 && n <= 1), "throws the whole picture away");
          return { quad: pairs(numbers.slice(1)) };
        }),
      ]),
    ),
  // label_studio_sdk label_interface: names as in config.xml, percent, text is a list
  "label-studio": (all) => {
    const config = parseXml(all.get("config.xml")!);
    const names = new Map(config.all().map(({ name, attributes }) => [attributes.name, name]));
    return new Map(
      json(all.get("tasks.json")!).map(
        // deno-lint-ignore no-explicit-any
        ({ data, predictions: [{ result }] }: any) => {
          const regions = new Map<string, ReadEntry>();
          for (const { id, from_name, to_name, type, value, ...size } of result) {
            assert.equal(names.get(from_name)?.toLowerCase(), type);
            assert.equal(names.get(to_name), "Image");
            assert.ok(value.points.flat().every((n: number) => n >= 0 && n <= 100));
            const quad = value.points.map(([x, y]: number[]) => [
              x / 100 * size.original_width,
              y / 100 * size.original_height,
            ]);
            const label = value.polygonlabels?.[0];
            regions.set(id, {
              ...regions.get(id),
              quad,
              ...(type === "textarea" ? { text: value.text[0] } : { ignore: label === "ignored" }),
            });
          }
          return [stem(data.image), [...regions.values()]];
        },
      ),
    );
  },
  // mmocr funsd_parser.py; nielsr/funsd-layoutlmv3 leaves out what has no text
  funsd: (all) =>
    new Map(
      files(all, /\/annotations\//).map(([name, text]) => [
        stem(name),
        // deno-lint-ignore no-explicit-any
        json(text).form.map(({ box, text, words, linking, label, id }: any, at: number) => {
          assert.deepEqual([linking, label, id], [[], "other", at]);
          assert.ok(
            [box, ...words.map((w: { box: number[] }) => w.box)].flat().every(Number.isInteger),
          );
          return { box, text, ignore: text === "", words };
        }),
      ]),
    ),
  // kraken/lib/xml/alto.py: lines without a baseline are skipped, nothing stands between strings
  alto: (all) =>
    new Map(
      files(all, /\.xml$/).map(([name, text]) => {
        const root = parseXml(text);
        assert.equal(root.one("MeasurementUnit").text, "pixel");
        return [
          stem(name),
          root.all("TextLine").map((line) => {
            assert.equal(line.attributes.BASELINE.split(" ").length, 4);
            const words = line.all("String").map((string) => ({
              text: string.attributes.CONTENT,
              quad: pairs(string.one("Polygon").attributes.POINTS.split(" ").map(Number)),
            }));
            const parts = line.children.map(({ name, attributes }) =>
              name === "SP" ? " " : name === "String" ? attributes.CONTENT : ""
            );
            const shape = line.children.find(({ name }) => name === "Shape")!.one("Polygon");
            const quad = pairs(shape.attributes.POINTS.split(" ").map(Number));
            return { text: parts.join(""), quad, words };
          }),
        ];
      }),
    ),
  // kraken/lib/xml/page.py
  "page-xml": (all) =>
    new Map(
      files(all, /\.xml$/).map(([name, text]) => {
        const points = (node: XmlNode) =>
          node.children.find(({ name }) => name === "Coords")!.attributes.points.split(" ")
            .map((pair) => pair.split(",").map(Number));
        const said = (node: XmlNode) =>
          node.children.find(({ name }) => name === "TextEquiv")!.one("Unicode").text;
        return [
          stem(name),
          parseXml(text).all("TextLine").map((line) => {
            const order = line.children.map(({ name }) => name).join(" ");
            assert.match(order, /^Coords Baseline( Word)+ TextEquiv$/, "the schema's order");
            const words = line.all("Word").map((word) => ({
              text: said(word),
              quad: points(word),
            }));
            return { text: said(line), quad: points(line), words };
          }),
        ];
      }),
    ),
  // Parquet is no text: its test stands by itself (lib/export/hf_test.ts)
  hf: () => new Map(),
  // hocr-spec 1.2
  hocr: (all) =>
    new Map(
      files(all, /\.hocr$/).map(([name, text]) => {
        const of = (node: XmlNode, property: string) =>
          new RegExp(`(?:^|; )${property} ([^;]*)`).exec(node.attributes.title)![1].split(" ")
            .map(Number);
        return [
          stem(name),
          parseXml(text).all("span").filter(({ attributes }) => attributes.class === "ocr_line")
            .map((line) => ({
              box: of(line, "bbox"),
              quad: pairs(of(line, "poly")),
              words: line.all("span").map((word) => ({
                text: word.text,
                quad: pairs(of(word, "poly")),
              })),
              text: line.all("span").map((word) => word.text).join(" "),
            })),
        ];
      }),
    ),
  // EasyOCR trainer/dataset.py: split at the first comma, nothing is quoted
  easyocr: (all) =>
    new Map(
      files(all, /labels\.csv$/).flatMap(([, text]) => {
        const [head, ...rest] = lines(text);
        assert.equal(head, "filename,words");
        return rest.map((line) => {
          const [, name, label] = /^([^,]+),(.*)$/s.exec(line)!;
          return [stem(name), [{ text: label }]];
        });
      }),
    ),
  csv: (all) => {
    const pages: ReadPages = new Map();
    const [head, ...rows] = parseCsv(all.get("labels.csv")!);
    for (const row of rows) {
      assert.equal(row.length, head.length);
      const cell = (name: string) => row[head.indexOf(name)];
      const quad = pairs(row.slice(head.indexOf("x1")).map(Number));
      const page = pages.get(stem(cell("image"))) ?? [];
      page.push({ text: cell("text"), quad, ignore: cell("ignore") === "true" });
      pages.set(stem(cell("image")), page);
    }
    return pages;
  },
  jsonl: (all) =>
    new Map(
      lines(all.get("labels.jsonl")!).map((line) => {
        const { image, words } = json(line);
        return [
          stem(image),
          // deno-lint-ignore no-explicit-any
          words.map(({ text, polygon, ignore = false }: any) => ({ text, quad: polygon, ignore })),
        ];
      }),
    ),
};

/** RFC 4180. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^,"\r\n]*))(,|\r\n|$)/y;
  while (cell.lastIndex < text.length) {
    const match = cell.exec(text);
    assert.ok(match, "no CSV");
    row.push(match[1]?.replaceAll('""', '"') ?? match[2]);
    if (match[3] === ",") continue;
    rows.push(row);
    row = [];
  }
  return rows;
}

/** An element of an XML document. */
export interface XmlNode {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: XmlNode[];
  /** All text in it. */
  readonly text: string;
  /** The elements below it of that name, or all. */
  all(name?: string): XmlNode[];
  /** The only one. */
  one(name: string): XmlNode;
}

class Element implements XmlNode {
  readonly name: string;
  readonly attributes: Record<string, string>;
  readonly children: Element[] = [];
  text = "";

  constructor(name: string, attributes: Record<string, string>) {
    [this.name, this.attributes] = [name, attributes];
  }

  all(name?: string): Element[] {
    return this.children.flatMap((child) => [
      ...(name === undefined || child.name === name ? [child] : []),
      ...child.all(name),
    ]);
  }

  one(name: string): Element {
    const [found, ...more] = this.all(name);
    assert.ok(found && more.length === 0, `not one ${name}`);
    return found;
  }
}

/** Parses well-formed XML as exports are made of; anything else fails. */
export function parseXml(text: string): XmlNode {
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(text, /[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Surrogate}/u);
  const root = new Element("", {});
  const open = [root];
  const token =
    /<\?[^>]*\?>|<!DOCTYPE [^>]*>|<(\/?)([\w:]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/y;
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const match = token.exec(text);
    assert.ok(match, `no XML: ${text.slice(at, at + 80)}`);
    const [, closes, name, attributes, empty, words] = match;
    if (words !== undefined) {
      const plain = decode(words.replace(/\r\n?/g, "\n"));
      for (const element of open) element.text += plain;
    } else if (closes) assert.equal(open.pop()!.name, name);
    else if (name) {
      const pairs = [...attributes.matchAll(/([\w:-]+)="([^"]*)"/g)];
      // White space in an attribute is read as blanks.
      const element = new Element(
        name,
        Object.fromEntries(pairs.map(([, key, value]) => [
          key,
          decode(value.replace(/[\t\r\n]/g, " ")),
        ])),
      );
      open.at(-1)!.children.push(element);
      if (!empty) open.push(element);
    }
  }
  assert.deepEqual(open, [root]);
  return root;
}

function decode(text: string): string {
  assert.doesNotMatch(text, /&(?!#\d+;|quot;|amp;|lt;|gt;)/);
  return text.replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
    .replaceAll("&quot;", '"').replaceAll("&lt;", "<").replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}
