/**
 * @module export/label_studio: tasks with predictions for Label Studio, and the labelling interface
 * that they fit.
 */

import type { Format } from "./format.ts";
import { ListFile } from "./list_file.ts";

/** So many boxes on a page make Label Studio slow. */
const MANY = 700;

const CONFIG = `<View>
  <Image name="image" value="$image" zoom="true" zoomControl="true" rotateControl="false"/>
  <PolygonLabels name="label" toName="image" strokeWidth="2">
    <Label value="text" background="green"/>
    <Label value="ignored" background="orange"/>
  </PolygonLabels>
  <TextArea name="transcription" toName="image" editable="true" perRegion="true" required="false"
    maxSubmissions="1" rows="1" displayMode="region-list"/>
</View>
`;

/** `tasks.json` and `config.xml`. */
export const labelStudio: Format = {
  name: "label-studio",
  summary: "Label Studio: tasks.json with predictions, config.xml, and images",
  pictures: "pages",
  namesPaths: true,
  texts: true,
  ignores: true,
  whenIgnored: "drop-word",
  emptyPages: true,
  granularity: "word",
  imageFile: (split, file) => `images/${split}/${file}`,
  open({ files }) {
    const list = new ListFile(files, "tasks.json", "[", "]");
    let many = 0;
    return {
      async page({ id, name, split, image, width, height, model, confidence, entries }) {
        if (entries.length > MANY) many++;
        const result = entries.flatMap(({ text, quad, ignore, confidence }, at) => {
          const common = {
            id: `${name}_${at}`,
            to_name: "image",
            original_width: width,
            original_height: height,
            image_rotation: 0,
            score: confidence,
          };
          const points = quad.map(([x, y]) => [percent(x, width), percent(y, height)]);
          const place = { points, closed: true };
          // One region has both: they belong together by their id.
          return [
            {
              ...{ ...common, from_name: "label", type: "polygonlabels" },
              value: { ...place, polygonlabels: [ignore ? "ignored" : "text"] },
            },
            {
              ...{ ...common, from_name: "transcription", type: "textarea" },
              value: { ...place, text: [text] },
            },
          ];
        });
        const known = entries.flatMap(({ confidence }) => confidence ?? []);
        await list.add({
          data: { image: address(image), id, split },
          predictions: [{
            model_version: model ?? "unknown",
            score: known.reduce((a, b) => Math.min(a, b), confidence ?? 1),
            result,
          }],
        });
        return entries.reduce((n, { words }) => n + words.length, 0);
      },
      async finish() {
        await list.finish();
        await files.write("config.xml", CONFIG);
        if (many === 0) return [];
        return [
          `${many} pages have more than ${MANY} boxes, which makes Label Studio slow: lines ` +
          "(--granularity line) are fewer.",
        ];
      },
    };
  },
};

/** Where Label Studio fetches a picture: copies through its local files storage. */
function address(image: string): string {
  if (image.startsWith("s3://")) return image;
  const path = image.split("/").filter(Boolean).map(encodeURIComponent).join("/");
  return `/data/local-files/?d=${path}`;
}

function percent(value: number, side: number): number {
  return Math.round(Math.min(100, Math.max(0, value / side * 100)) * 1e4) / 1e4;
}
