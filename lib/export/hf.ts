/**
 * @module export/hf: Parquet with the pictures inside, as `datasets.load_dataset` reads it: its
 * features are written down, so that nothing is guessed from the first rows.
 */

import type { SchemaElement } from "../parquet/types.ts";
import type { ByteWriter, ColumnSource, ParquetWriter } from "../parquet/encode.ts";
import type { Files } from "./files.ts";
import type { Format } from "./format.ts";
import { PerSplit } from "./list_file.ts";
import type { ExportPage } from "./page.ts";

/** Rows of a row group: the library reads and shuffles by row groups. */
const GROUP_ROWS = 100;
/** Pictures in a row group, bytes, unless a single one has more. */
const GROUP_BYTES = 32 << 20;

const text = (name: string): SchemaElement[] => [{
  ...{ name, type: "BYTE_ARRAY", repetition_type: "OPTIONAL" },
  ...{ converted_type: "UTF8", logical_type: { type: "STRING" } },
}];
const plain = (name: string, type: "INT64" | "DOUBLE" | "BOOLEAN"): SchemaElement[] => [
  { name, type, repetition_type: "OPTIONAL" },
];
const list = (name: string, element: SchemaElement[]): SchemaElement[] => [
  {
    ...{ name, num_children: 1, repetition_type: "OPTIONAL" },
    ...{ converted_type: "LIST", logical_type: { type: "LIST" } },
  },
  { name: "list", num_children: 1, repetition_type: "REPEATED" },
  ...element,
];

const value = (dtype: string) => ({ dtype, _type: "Value" });
const sequence = (feature: unknown) => ({ feature, _type: "Sequence" });

interface Column {
  readonly schema: SchemaElement[];
  /** As the library writes it. */
  readonly feature: unknown;
  readonly of: (page: ExportPage) => unknown;
}

/** The columns, in their order. */
const COLUMNS: Readonly<Record<string, Column>> = {
  image: {
    schema: [
      { name: "image", num_children: 2, repetition_type: "OPTIONAL" },
      { name: "bytes", type: "BYTE_ARRAY", repetition_type: "OPTIONAL" },
      ...text("path"),
    ],
    feature: { _type: "Image" },
    of: ({ picture, image }) => ({ bytes: picture, path: image }),
  },
  id: { schema: text("id"), feature: value("string"), of: ({ id }) => id },
  width: {
    schema: plain("width", "INT64"),
    feature: value("int64"),
    of: ({ width }) => BigInt(width),
  },
  height: {
    schema: plain("height", "INT64"),
    feature: value("int64"),
    of: ({ height }) => BigInt(height),
  },
  texts: {
    schema: list("texts", text("element")),
    feature: sequence(value("string")),
    of: ({ entries }) => entries.map(({ text }) => text),
  },
  polygons: {
    schema: list("polygons", list("element", list("element", plain("element", "DOUBLE")))),
    feature: sequence(sequence(sequence(value("float64")))),
    of: ({ entries }) => entries.map(({ quad }) => quad),
  },
  confidences: {
    schema: list("confidences", plain("element", "DOUBLE")),
    feature: sequence(value("float64")),
    of: ({ entries }) => entries.map(({ confidence }) => confidence),
  },
  ignored: {
    schema: list("ignored", plain("element", "BOOLEAN")),
    feature: sequence(value("bool")),
    of: ({ entries }) => entries.map(({ ignore }) => ignore),
  },
};

/** The key-value pair by which the library knows the features. */
const FEATURES = JSON.stringify({
  info: {
    features: Object.fromEntries(
      Object.entries(COLUMNS).map(([name, { feature }]) => [name, feature]),
    ),
  },
});

const SCHEMA: readonly SchemaElement[] = [
  { name: "schema", num_children: Object.keys(COLUMNS).length, repetition_type: "REQUIRED" },
  ...Object.values(COLUMNS).flatMap(({ schema }) => schema),
];

/** `data/{split}-00000-of-00001.parquet`: names by which the library finds the parts. */
export const hf: Format = {
  name: "hf",
  summary: "Hugging Face datasets: data/{split}-00000-of-00001.parquet with the images inside",
  pictures: "pages",
  embeds: true,
  texts: true,
  ignores: true,
  whenIgnored: "drop-word",
  emptyPages: true,
  granularity: "word",
  imageFile: (_split, file) => file,
  open({ files }) {
    const parts = new PerSplit((split) => new Part(files, fileOf(split)));
    return {
      async page(page) {
        await parts.of(page.split).add(page);
        return page.entries.reduce((n, { words }) => n + words.length, 0);
      },
      async finish() {
        for (const [, part] of parts.all) await part.finish();
        return [];
      },
    };
  },
};

function fileOf(split: string): string {
  // The library knows a validation part by this name alone.
  return `data/${split === "val" ? "validation" : split}-00000-of-00001.parquet`;
}

/** One file, of which a row group is held. */
class Part {
  readonly #files: Files;
  readonly #name: string;
  #open: { readonly bytes: ByteWriter; readonly writer: ParquetWriter } | undefined;
  #group: ExportPage[] = [];
  #held = 0;

  constructor(files: Files, name: string) {
    [this.#files, this.#name] = [files, name];
  }

  async add(page: ExportPage): Promise<void> {
    const size = page.picture?.length ?? 0;
    const full = this.#group.length >= GROUP_ROWS || this.#held + size > GROUP_BYTES;
    if (full && this.#group.length > 0) await this.#flush();
    this.#group.push(page);
    this.#held += size;
  }

  async finish(): Promise<void> {
    const { writer, bytes } = await this.#flush();
    writer.kvMetadata = [{ key: "huggingface", value: FEATURES }];
    await writer.finish();
    const { takeBytes } = await import("../parquet/encode.ts");
    await this.#files.append(this.#name, takeBytes(bytes));
  }

  async #flush() {
    const { ByteWriter, openWriter, takeBytes } = await import("../parquet/encode.ts");
    if (!this.#open) {
      const bytes = new ByteWriter(1 << 16);
      this.#open = { bytes, writer: openWriter(bytes, SCHEMA) };
    }
    const { bytes, writer } = this.#open;
    const [group] = [this.#group, this.#group = [], this.#held = 0];
    const columnData = Object.entries(COLUMNS).map(([name, { of }]): ColumnSource => ({
      ...{ name, data: group.map(of) as ColumnSource["data"] },
      ...{ columnIndex: false, offsetIndex: false },
    }));
    await writer.write({ columnData, rowGroupSize: group.length });
    await this.#files.append(this.#name, takeBytes(bytes));
    return this.#open;
  }
}
