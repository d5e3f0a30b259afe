/**
 * @module export/formats: the table of formats. A new one is a file in this folder, a line here and
 * a section of `docs/FORMATS.md`.
 */

import { alto } from "./alto.ts";
import { coco } from "./coco.ts";
import { doctrDet, doctrOcr, doctrRec } from "./doctr.ts";
import { easyocr } from "./easyocr.ts";
import type { Format } from "./format.ts";
import { funsd } from "./funsd.ts";
import { hf } from "./hf.ts";
import { hocr } from "./hocr.ts";
import { icdar } from "./icdar.ts";
import { labelStudio } from "./label_studio.ts";
import { mmocrDet, mmocrRec } from "./mmocr.ts";
import { paddleocrDet, paddleocrRec } from "./paddleocr.ts";
import { pageXml } from "./page_xml.ts";
import { csv, jsonl } from "./tables.ts";
import { yoloObb } from "./yolo_obb.ts";

/** All formats, in the order of `--help`. */
export const FORMATS: readonly Format[] = [
  paddleocrDet,
  paddleocrRec,
  mmocrDet,
  mmocrRec,
  doctrDet,
  doctrRec,
  doctrOcr,
  icdar,
  coco,
  yoloObb,
  labelStudio,
  funsd,
  alto,
  pageXml,
  hocr,
  hf,
  easyocr,
  csv,
  jsonl,
];
