/**
 * @module engine/own_server_formats: how a page is sent to a server of one's own.
 *
 * - `liteparse`: LiteParse's OCR API, https://github.com/run-llama/liteparse OCR_API_SPEC.md
 * - `doctr`: docTR's API, https://github.com/mindee/doctr api/app/routes/ocr.py
 * - `paddlex`: basic serving of PaddleX's OCR pipeline, https://github.com/PaddlePaddle/PaddleX
 *   paddlex/inference/serving/schemas/ocr.py
 */

import { Buffer } from "node:buffer";
import type { ImageFile } from "./engine.ts";
import { multipart } from "./multipart.ts";
import type { Format, OwnServer } from "./own_server_address.ts";

/** The body of the request for one page. */
export function pageRequest(image: ImageFile, { format, language }: OwnServer): Blob {
  return BODIES[format](image, language);
}

const BODIES: Readonly<Record<Format, (image: ImageFile, language: string) => Blob>> = {
  liteparse: (image, language) => multipart([["file", file(image)], ["language", language]]),
  doctr: (image) => multipart([["files", file(image)]]),
  paddlex: ({ bytes }) => {
    const encoded = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      .toString("base64");
    return new Blob([`{"file":"${encoded}",${PADDLEX_REST}}`], { type: "application/json" });
  },
};

/**
 * An image (1), whose boxes are to lie on the picture as it was sent, not on one that was turned or
 * unrolled, and no pictures in the answer.
 */
const PADDLEX_REST = JSON.stringify({
  fileType: 1,
  useDocOrientationClassify: false,
  useDocUnwarping: false,
  visualize: false,
}).slice(1, -1);

function file({ bytes, mediaType: { type, extension } }: ImageFile) {
  return { bytes, filename: `page.${extension}`, type };
}
