/**
 * @module export/hocr: hOCR 1.2 as XHTML, as searchable-PDF tools and ocropus read it.
 */

import type { Points } from "../geometry/polygon.ts";
import type { Format } from "./format.ts";
import type { Entry } from "./page.ts";
import { fileName, wholeBox, wholePoints, xml, XML_FORMAT } from "./xml.ts";

/** `{split}/{name}.hocr` beside the picture. */
export const hocr: Format = {
  ...XML_FORMAT,
  name: "hocr",
  summary: "hOCR 1.2 with lines and words: {split}/NAME.hocr beside the image",
  open: ({ files }) => ({
    async page({ split, name, image, width, height, entries }) {
      // Names are made here and hold no quotes.
      const title = `image "${fileName(image)}"; bbox 0 0 ${width} ${height}; ppageno 0`;
      const text = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml">
<head>
<title>${xml(name)}</title>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8"/>
<meta name="ocr-system" content="pseudolabel"/>
<meta name="ocr-capabilities" content="ocr_page ocr_line ocrx_word ocrp_wconf ocrp_poly"/>
</head>
<body>
<div class="ocr_page" id="page_0" title="${xml(title)}">
${entries.map(line).join("\n")}
</div>
</body>
</html>
`;
      await files.write(`${split}/${name}.hocr`, text);
      return entries.reduce((n, { words }) => n + words.length, 0);
    },
    finish: () => Promise.resolve([]),
  }),
};

function line({ quad, words }: Entry, at: number): string {
  const inner = words.map(({ text, quad, confidence }, of) => {
    const sure = confidence === null ? "" : `; x_wconf ${Math.round(confidence * 100)}`;
    return `<span class="ocrx_word" id="word_${at}_${of}" title="${place(quad)}${sure}">${
      xml(text)
    }</span>`;
  });
  return `<span class="ocr_line" id="line_${at}" title="${place(quad)}">${inner.join(" ")}</span>`;
}

function place(quad: Points): string {
  return `bbox ${wholeBox(quad).join(" ")}; poly ${wholePoints(quad, " ")}`;
}
