/**
 * @module engine/own_server: the engine `http`: an OCR server of one's own, on this machine, beside
 * the job, or anywhere. `engine/own_server_engine.ts` asks it, and is loaded when it is named.
 */

import type { EngineFacts } from "./engine.ts";
import { FACTS } from "./own_server_facts.ts";

const load = async () => (await import("./own_server_engine.ts")).ownServerEngine;

/** Any OCR server that speaks one of the formats of `engine/own_server_formats.ts`. */
export const ownServer: EngineFacts = {
  ...FACTS,
  findModel: async (options) => await (await load()).findModel!(options),
  load,
};
