/**
 * @module engine/own_server_engine: asks an OCR server of one's own for pages, and what its replies
 * mean. Such servers are of many makes: what is a word on the page, in the request or in the server
 * shows by the status alone.
 */

import { fixedKey } from "./api_key.ts";
import type { Connection, Engine, FoundModel, Outcome, TextAnswer } from "./engine.ts";
import { exchange, HttpClient, type HttpReply, jsonAnswer, type Verdict } from "./http.ts";
import { API_KEY, modelName, type OwnServer, serverAt } from "./own_server_address.ts";
import { FACTS } from "./own_server_facts.ts";
import { parseOwn, toldModel } from "./own_server_answers.ts";
import { pageRequest } from "./own_server_formats.ts";
import { retryAt } from "./retry_after.ts";
import { MAX_BILLED_PAGES } from "./sound_answer.ts";
import { RunError } from "../base/errors.ts";
import { parseAs, parseJsonAs, type Schema, z } from "../base/json.ts";
import { oneLine, quoted } from "../base/text.ts";

/** A page on a slow CPU, behind others that wait for it. Milliseconds. */
const TIMEOUT_MS = 300_000;
/** Saying what it is takes a server no time, but many do nothing else while they read. Milliseconds. */
const HEALTH_TIMEOUT_MS = 60_000;
/** In which a server may tell the version of its model with each answer. */
const MODEL_HEADER = "x-model-version";
/** Key, address, method: statuses that no page gets by what it holds. */
const REFUSALS: ReadonlySet<number> = new Set([402, 404, 405, 407, 410]);

/** The engine. */
export const ownServerEngine: Engine = {
  ...FACTS,
  load: () => Promise.resolve(ownServerEngine),

  findModel: (options) => findModel(serverAt(options.env, options)),

  async connect(options): Promise<Connection> {
    const server = serverAt(options.env, options);
    const { url, shown, format } = server;
    const found = options.model === undefined ? await findModel(server) : undefined;
    const { clock, note, standsIn = false } = options;
    if (found?.unreachable !== undefined && !standsIn) {
      throw new RunError(
        "again",
        `no OCR server answers at ${shown} (${found.unreachable}).\nStart it, then run the same ` +
          "command again; with --model NAME a run begins without asking it for its model",
      );
    }
    const met = found?.unreachable === undefined ? undefined : new Meeting(server, found.model);
    const client = new HttpClient({ key: fixedKey(server.key), timeoutMs: TIMEOUT_MS, note });
    const watch = new ModelWatch(note);
    return {
      server: options.baseUrl === undefined ? shown : "local profile",
      ...found && { model: found.model },
      advice: `the server at ${shown}, --http-format (${format}) and ` +
        (server.key === "" ? `whether it wants a key (${API_KEY})` : API_KEY),
      async send(image, _model, signal) {
        const absent = await met?.absent(signal);
        if (absent) return absent;
        const request = { url, headers: authorization(server), body: pageRequest(image, server) };
        const judged = (reply: HttpReply) => judge(reply, clock.now());
        const outcome = await client.post(() => request, judged, signal);
        if (outcome.kind === "answered") watch.saw(toldModel(outcome.body));
        return outcome;
      },
    };
  },

  parse: parseOwn,

  billedPages: (body) =>
    Array.isArray(body) ? Math.min(MAX_BILLED_PAGES, Math.max(1, body.length)) : 1,
};

/**
 * The first meeting with a server that did not answer when its answers were given a name: that of
 * its address, which is right unless it tells another one.
 */
class Meeting {
  readonly #server: OwnServer;
  readonly #model: string;
  #met = false;

  constructor(server: OwnServer, model: string) {
    this.#server = server;
    this.#model = model;
  }

  /** @returns What is said of a page that can't be sent. @throws {RunError} if none ever can */
  async absent(signal: AbortSignal): Promise<Outcome | undefined> {
    if (this.#met) return undefined;
    const { model, unreachable } = await findModel(this.#server, signal);
    if (unreachable !== undefined) return { kind: "retryable", message: unreachable };
    if (model !== this.#model) {
      const what =
        `the server at ${this.#server.shown} says only now that its model is ${model}, ` +
        "under which its answers are kept: the next process asks it";
      throw new RunError("again", `${what}; run the same command again`, { cause: what });
    }
    this.#met = true;
    return undefined;
  }
}

function authorization({ key }: OwnServer): Record<string, string> {
  return key === "" ? {} : { authorization: `Bearer ${key}` };
}

/** Says once for each change that the server has another model than before. */
class ModelWatch {
  readonly #note: (message: string) => void;
  #last: string | undefined;

  constructor(note: (message: string) => void) {
    this.#note = note;
  }

  saw(model: string | undefined): void {
    if (model === undefined || model === this.#last) return;
    if (this.#last !== undefined) {
      this.#note(
        `the server has changed its model from ${quoted(this.#last)} to ${
          quoted(model)
        }: this run ` +
          "now holds answers of both, told apart by metadata.model_version. To have one model " +
          "only, stop, and start over with --fresh and a --model of its own",
      );
    }
    this.#last = model;
  }
}

const healthBody = z.object({
  model: z.string().min(1).optional().catch(undefined),
  model_version: z.string().min(1).optional().catch(undefined),
  modelVersion: z.string().min(1).optional().catch(undefined),
});

/** What the server says that it is; most say only that they are well. */
async function findModel(
  server: OwnServer,
  signal: AbortSignal = new AbortController().signal,
): Promise<FoundModel> {
  const request = { url: server.health, headers: authorization(server) };
  const reply = await exchange(request, HEALTH_TIMEOUT_MS, signal);
  if ("kind" in reply) {
    return { model: modelName(server, undefined), unreachable: withoutKey(reply.message, server) };
  }
  const body = reply.status === 200 ? parseJsonAs(healthBody, reply.text).value : undefined;
  const told = body?.model ?? body?.model_version ?? body?.modelVersion ??
    (reply.status === 200 ? reply.headers.get(MODEL_HEADER)?.trim() : undefined);
  return { model: modelName(server, told ? withoutKey(told, server) : undefined) };
}

function withoutKey(text: string, { key }: OwnServer): string {
  return oneLine(key === "" ? text : text.replaceAll(key, "[key]"));
}

function judge(reply: HttpReply, now: number): Verdict {
  const { status, headers, text } = reply;
  if (status === 200) return answerOrError(reply);
  const message = `HTTP ${status}, ${errorOf(text) ?? "no error body"}`;
  const until = retryAt(headers, now);
  // So say servers, and balancers before them, whose places are all taken.
  if (status === 429 || status === 503) return { kind: "throttled", until, message };
  if (status === 408 || status >= 500) return { kind: "retryable", until, message };
  if (status === 401 || status === 403) return { kind: "key_refused", message };
  if (status >= 300 && status < 400) {
    return { kind: "refused", message: `HTTP ${status}, which is another address: not followed` };
  }
  return { kind: REFUSALS.has(status) || status < 300 ? "refused" : "rejected", message };
}

/** Some servers report an error under status 200. That is no answer: it may be asked for again. */
function answerOrError({ text, headers }: HttpReply): Verdict {
  const verdict = jsonAnswer(text);
  if (verdict.kind !== "answered") return verdict;
  const { body } = verdict;
  const isAnswer = Array.isArray(body) ||
    parseAs(
        z.union([z.object({ results: z.array(z.unknown()) }), z.object({ result: z.object({}) })]),
        body,
      )
        .problem === undefined;
  const said = isAnswer ? undefined : errorOf(text);
  if (said === undefined) return withModel(verdict, headers.get(MODEL_HEADER)?.trim());
  return {
    kind: "retryable",
    code: "api_error",
    message: `HTTP 200 with an error instead of an answer, ${said}`,
  };
}

/** What a header tells would be lost with it: it is kept in the answer, where that is an object. */
function withModel(
  answered: TextAnswer,
  model: string | undefined,
): TextAnswer {
  const { text, body } = answered;
  const isObject = typeof body === "object" && body !== null && !Array.isArray(body);
  if (!model || !isObject || toldModel(body) !== undefined) return answered;
  const rest = text.trimStart().slice(1);
  const empty = Object.keys(body).length === 0;
  const whole = `{"model_version":${JSON.stringify(model)}${empty ? "" : ","}${rest}`;
  return { kind: "answered", text: whole, body: JSON.parse(whole) };
}

/** FastAPI's list of what is wrong with a request. */
const complaints = z.array(z.object({
  msg: z.string(),
  loc: z.array(z.union([z.string(), z.number()])).optional(),
})).min(1).transform(([{ msg, loc }]) => loc ? `${msg} (${loc.join(".")})` : msg);

/** An error as servers word it: LiteParse's, FastAPI's, PaddleX's. */
const errorBody: Schema<string> = z.union([
  z.object({ error: z.string().min(1) }).transform(({ error }) => error),
  z.object({ error: z.object({ message: z.string() }) }).transform(({ error }) => error.message),
  z.object({ detail: z.string().min(1) }).transform(({ detail }) => detail),
  z.object({ detail: complaints }).transform(({ detail }) => detail),
  z.object({ errorMsg: z.string().min(1) }).transform(({ errorMsg }) => errorMsg),
  z.object({ message: z.string().min(1) }).transform(({ message }) => message),
]);

/** What a body says went wrong; also one in plain words, as of a server that failed itself. */
function errorOf(text: string): string | undefined {
  const said = parseJsonAs(errorBody, text).value;
  if (said !== undefined) return said;
  return /^[^<{[]{1,200}$/.test(text.trim()) ? text.trim() : undefined;
}
