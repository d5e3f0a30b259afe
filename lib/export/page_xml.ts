/**
 * @module export/page_xml: PAGE XML of 2019-07-15, as Transkribus, kraken and OCR-D read it.
 */

import { boxPoints, type Points } from "../geometry/polygon.ts";
import type { Format } from "./format.ts";
import type { Entry } from "./page.ts";
import { around, baseline, fileName, sure, wholePoints, xml, XML_FORMAT } from "./xml.ts";

const NAMESPACE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15";

/** `{split}/{name}.xml` beside the picture: one region with the lines and their words. */
export const pageXml: Format = {
  ...XML_FORMAT,
  name: "page-xml",
  summary: "PAGE XML 2019 with lines and baselines: {split}/NAME.xml beside the image",
  open: ({ files }) => ({
    async page({ split, name, image, width, height, entries, readAt }) {
      const box = around(entries.map(({ quad }) => quad));
      const region = box
        ? `<TextRegion id="region_0">${coords(boxPoints(box))}\n${
          entries.map(line).join("\n")
        }\n</TextRegion>`
        : "";
      const text = `<?xml version="1.0" encoding="UTF-8"?>
<PcGts xmlns="${NAMESPACE}">
<Metadata><Creator>pseudolabel</Creator>
<Created>${readAt}</Created><LastChange>${readAt}</LastChange></Metadata>
<Page imageFilename="${xml(fileName(image))}" imageWidth="${width}" imageHeight="${height}">
${region}
</Page>
</PcGts>
`;
      await files.write(`${split}/${name}.xml`, text);
      return entries.reduce((n, { words }) => n + words.length, 0);
    },
    finish: () => Promise.resolve([]),
  }),
};

function line({ text, confidence, quad, words }: Entry, at: number): string {
  const inner = words.map((word, of) =>
    `<Word id="word_${at}_${of}">${coords(word.quad)}${said(word.text, word.confidence)}</Word>`
  );
  return `<TextLine id="line_${at}">${coords(quad)}<Baseline points="${
    wholePoints(baseline(quad), ",")
  }"/>${inner.join("")}${said(text, confidence)}</TextLine>`;
}

function coords(points: Points): string {
  return `<Coords points="${wholePoints(points, ",")}"/>`;
}

function said(text: string, confidence: number | null): string {
  const conf = confidence === null ? "" : ` conf="${sure(confidence)}"`;
  return `<TextEquiv${conf}><Unicode>${xml(text)}</Unicode></TextEquiv>`;
}
