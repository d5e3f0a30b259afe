/**
 * @module export/alto: ALTO 4.4, as kraken, eScriptorium and libraries read it.
 */

import type { Format } from "./format.ts";
import type { Entry } from "./page.ts";
import { around, baseline, fileName, sure, wholeBox, wholePoints, xml, XML_FORMAT } from "./xml.ts";

/** `{split}/{name}.xml` beside the picture: one block with the lines, their words as strings. */
export const alto: Format = {
  ...XML_FORMAT,
  name: "alto",
  summary: "ALTO 4.4 XML with lines and baselines: {split}/NAME.xml beside the image",
  open: ({ files }) => ({
    async page({ split, name, image, width, height, entries }) {
      const box = around(entries.map(({ quad }) => quad));
      const block = box
        ? `<TextBlock ID="block_0" ${place(box)}>\n${entries.map(line).join("\n")}\n</TextBlock>`
        : "";
      const text = `<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#">
<Description><MeasurementUnit>pixel</MeasurementUnit><sourceImageInformation><fileName>${
        xml(fileName(image))
      }</fileName></sourceImageInformation></Description>
<Layout><Page ID="page_0" PHYSICAL_IMG_NR="1" WIDTH="${width}" HEIGHT="${height}"><PrintSpace ${
        place([0, 0, width, height])
      }>
${block}
</PrintSpace></Page></Layout>
</alto>
`;
      await files.write(`${split}/${name}.xml`, text);
      return entries.reduce((n, { words }) => n + words.length, 0);
    },
    finish: () => Promise.resolve([]),
  }),
};

function line({ quad, words }: Entry, at: number): string {
  const strings = words.map(({ text, quad, confidence }, word) =>
    `<String ID="string_${at}_${word}" ${place(wholeBox(quad))}${
      confidence === null ? "" : ` WC="${sure(confidence)}"`
    } CONTENT="${xml(text)}"><Shape><Polygon POINTS="${wholePoints(quad, " ")}"/></Shape></String>`
  );
  // Readers put nothing between two strings of their own accord.
  return `<TextLine ID="line_${at}" ${place(wholeBox(quad))} BASELINE="${
    wholePoints(baseline(quad), " ")
  }"><Shape><Polygon POINTS="${wholePoints(quad, " ")}"/></Shape>${
    strings.join("<SP/>")
  }</TextLine>`;
}

function place([x1, y1, x2, y2]: readonly number[]): string {
  return `HPOS="${x1}" VPOS="${y1}" WIDTH="${x2 - x1}" HEIGHT="${y2 - y1}"`;
}
