/**
 * @module engine/upstage_parse_engine: Upstage Document Parse itself, in both ways of asking. What
 * the two answer is read in the same way (`engine/upstage_parse_answer.ts`).
 */

import type { Connection, Engine, EngineFacts, ImageFile } from "./engine.ts";
import { type Access, connectWith, documentForm, judge } from "./upstage_api.ts";
import { billedPages, parseAnswer } from "./upstage_parse_answer.ts";
import { asyncConnection } from "./upstage_parse_async.ts";

/**
 * The server gives a request up after 5 minutes; a client that is faster to give up pays for
 * nothing.
 */
const TIMEOUT_MS = 330_000;

/** What is known of the engine before it is loaded. */
export type Facts = Omit<EngineFacts, "load">;

/** The form of a request, the same in both ways: what is not named is as documented. */
function formOf(image: ImageFile, model: string): Blob {
  return documentForm(image, [["model", model], ["coordinates", "true"]]);
}

/** The engine that answers at once. */
export function syncEngine(facts: Facts): Engine {
  return engineOf(facts, ({ request, client, now }) => ({
    send: (image, model, signal) =>
      client.post(
        request("", formOf(image, model)),
        (reply) => judge(reply, now(), "elements"),
        signal,
      ),
  }));
}

/** The engine that is asked for the answer later. */
export function asyncEngine(facts: Facts): Engine {
  return engineOf(facts, (access) => asyncConnection(access, formOf));
}

function engineOf(
  facts: Facts,
  open: (access: Access) => Pick<Connection, "send" | "collect">,
): Engine {
  const engine: Engine = {
    ...facts,
    load: () => Promise.resolve(engine),
    parse: parseAnswer,
    billedPages,
    connect: (options) => connectWith(options, TIMEOUT_MS, open),
  };
  return engine;
}
