/**
 * @module engine/own_server_facts: what holds of every OCR server of one's own.
 */

import type { EngineFacts } from "./engine.ts";
import { API_KEY, FORMAT, LANGUAGE, serverAt, URL_VARIABLE } from "./own_server_address.ts";
import { MEDIA_TYPES } from "../image/media_type.ts";

const { jpg, png, bmp, tiff, webp } = MEDIA_TYPES;

/** The facts of the engine `http` but for what loads it. */
export const FACTS: Omit<EngineFacts, "load" | "findModel"> = {
  name: "http",
  // Where nothing is asked. What is asked is named by the server, or by its address.
  defaultModel: "server",
  documentedRate: null,
  price: { perPage: 0, asOf: null },
  granularity: "line",
  environment: [
    { name: URL_VARIABLE, help: "address of the OCR server" },
    { name: FORMAT, help: "what the server speaks" },
    { name: LANGUAGE, help: "language that it is asked to read" },
    {
      name: API_KEY,
      help:
        "key of --engine http, if its server wants one; goes over https or to this machine only",
    },
  ],
  keyVariable: API_KEY,
  looksLikeKey: () => false,
  mediaTypes: new Set([jpg, png, bmp, tiff, webp]),
  maxBytes: 52_428_800,
  needsPicture: true,
  serverOf: (env) => env[URL_VARIABLE] ? serverAt(env).shown : undefined,
};
