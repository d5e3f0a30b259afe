/**
 * @module engine/upstage_parse: what is known of Upstage Document Parse before it is asked: elements
 * of a page's layout, at once or fetched later. What it takes to ask and to read is loaded with it.
 *
 * https://console.upstage.ai/docs/capabilities/parse
 */

import type { EngineFacts } from "./engine.ts";
import { PICTURES, UPSTAGE } from "./upstage_api.ts";

type Facts = Omit<EngineFacts, "load">;

const SHARED: Omit<Facts, "name" | "documentedRate"> = {
  ...UPSTAGE,
  defaultModel: "document-parse",
  // The mode `standard`, without VAT; `enhanced`, which is never asked for, costs more.
  price: { perPage: 0.01, asOf: "November 2026" },
  granularity: "block",
  // Places are told as parts of the page, and a document has no page of its own to take them of.
  mediaTypes: new Set(PICTURES),
  needsPicture: true,
};

const SYNC: Facts = { ...SHARED, name: "upstage-parse", documentedRate: 3 };
const ASYNC: Facts = {
  ...SHARED,
  name: "upstage-parse-async",
  documentedRate: 6,
  documentedPollRate: 6,
};

/** Upstage Document Parse that answers at once. */
export const upstageParse: EngineFacts = {
  ...SYNC,
  load: async () => (await import("./upstage_parse_engine.ts")).syncEngine(SYNC),
};

/** Upstage Document Parse that is asked for the answer later. */
export const upstageParseAsync: EngineFacts = {
  ...ASYNC,
  load: async () => (await import("./upstage_parse_engine.ts")).asyncEngine(ASYNC),
};
