/**
 * @module engine/upstage_parse_async: asks Document Parse for an answer that is fetched later. A
 * document is paid for when its request id comes back; from then on looking costs nothing, by any
 * key of the account, for 30 days. The answer lies in batches of pages, each behind a link of its
 * own that lives for 15 minutes and is looked up anew each time.
 *
 * https://console.upstage.ai/api/parse/document-parsing/async
 */

import { isLoopback } from "./access.ts";
import type { Collected, Connection, ImageFile, TextAnswer } from "./engine.ts";
import { exchange, type HttpReply, jsonAnswer, MAX_ANSWER_BYTES, type Told } from "./http.ts";
import type { Verdict } from "./http.ts";
import { type Access, errorInside, judgeError } from "./upstage_api.ts";
import { parseAs, z } from "../base/json.ts";
import { withoutSignatures } from "../base/text.ts";

/** Limit for a look, and for the download of a batch, milliseconds. */
const LOOK_MS = 60_000;

/** Safe as part of a path and in a message. */
const requestId = z.string().regex(/^[A-Za-z0-9_-][A-Za-z0-9._:-]{0,199}$/);
const submitted = z.object({ request_id: requestId });

const batch = z.object({
  id: z.number(),
  status: z.string().nullish(),
  start_page: z.number().nullish(),
  end_page: z.number().nullish(),
  download_url: z.string().nullish(),
  failure_message: z.string().nullish(),
});
type Batch = z.infer<typeof batch>;
const state = z.object({
  status: z.string(),
  failure_message: z.string().nullish(),
  batches: z.array(batch).nullish(),
});
type State = z.infer<typeof state>;

/** Sends and collects. @param formOf The form of a request. */
export function asyncConnection(
  { request, client, now }: Access,
  formOf: (image: ImageFile, model: string) => Blob,
): Pick<Connection, "send" | "collect"> {
  return {
    send: (image, model, signal) =>
      client.post(
        request("/async", formOf(image, model)),
        (reply) => judgeSubmitted(reply, now()),
        signal,
      ),

    async collect(ticket, signal) {
      const parsed = parseAs(submitted, ticket);
      if (parsed.problem !== undefined) {
        return { kind: "unknown", message: `it is no request id (${parsed.problem})` };
      }
      const { request_id } = parsed.value;
      const looked = await client.ask<State | "unknown">(
        request(`/requests/${encodeURIComponent(request_id)}`),
        (reply) => judgeState(reply, now()),
        signal,
      );
      if (looked.kind === "accepted") throw new Error("a look can't be accepted");
      if (looked.kind !== "told") return looked;
      if (looked.told === "unknown") {
        return { kind: "unknown", message: `the API knows no request ${request_id}` };
      }
      const found = await collected(looked.told, request_id, signal);
      return found.kind === "answered" ? found : { ...found, message: client.clean(found.message) };
    },
  };
}

function judgeSubmitted(reply: HttpReply, now: number): Verdict {
  if (reply.status < 200 || reply.status > 202) return judgeError(reply, now);
  const answer = jsonAnswer(reply.text);
  if (answer.kind !== "answered") return answer;
  const { value } = parseAs(submitted, answer.body);
  if (value) {
    const { request_id } = value;
    return { kind: "accepted", ticket: { request_id }, message: `accepted as ${request_id}` };
  }
  return errorInside(answer.body) ??
    { kind: "retryable", message: `${reply.status} without a request_id`, code: "api_error" };
}

function judgeState(reply: HttpReply, now: number): Verdict | Told<State | "unknown"> {
  const { status, text } = reply;
  if (status === 404 || status === 410) return { kind: "told", told: "unknown" };
  if (status !== 200) {
    const verdict = judgeError(reply, now);
    // What is wrong with the look is not wrong with the page.
    return verdict.kind === "rejected" ? { ...verdict, kind: "retryable" } : verdict;
  }
  const answer = jsonAnswer(text);
  if (answer.kind !== "answered") return answer;
  const { value, problem } = parseAs(state, answer.body);
  if (value) return { kind: "told", told: value };
  return errorInside(answer.body) ??
    { kind: "retryable", message: `the state of a request can't be read (${problem})` };
}

async function collected(
  { status, failure_message, batches }: State,
  id: string,
  signal: AbortSignal,
): Promise<Collected> {
  const failed = batches?.find((batch) => batch.status === "failed");
  if (status === "failed" || status === "completed" && failed) {
    const why = failure_message || failed?.failure_message || "no failure_message";
    return { kind: "rejected", message: `the request failed: ${why}` };
  }
  if (status !== "completed") {
    return { kind: "pending", message: `request ${id} is ${status}` };
  }
  const inOrder = (batches ?? []).toSorted((a, b) => a.id - b.id);
  if (inOrder.length === 0) {
    return { kind: "retryable", message: `request ${id} is completed and has no batches` };
  }
  const parts: string[] = [];
  const bodies: unknown[] = [];
  let length = 0;
  for (const batch of inOrder) {
    const downloaded = await download(batch, id, signal);
    if (downloaded.kind !== "answered") return downloaded;
    length += downloaded.text.length;
    if (length > MAX_ANSWER_BYTES) {
      return { kind: "retryable", message: `answer longer than ${MAX_ANSWER_BYTES} bytes` };
    }
    const { id: number, start_page = null, end_page = null } = batch;
    const head = JSON.stringify({ id: number, start_page, end_page });
    parts.push(`${head.slice(0, -1)},"answer":${downloaded.text}}`);
    bodies.push({ id: number, start_page, end_page, answer: downloaded.body });
  }
  return {
    kind: "answered",
    text: `{"request_id":${JSON.stringify(id)},"batches":[${parts.join(",")}]}`,
    body: { request_id: id, batches: bodies },
  };
}

/** A link that does not work is asked for anew with the next look. */
async function download(
  { id: number, download_url }: Batch,
  id: string,
  signal: AbortSignal,
): Promise<TextAnswer | Collected & { kind: "retryable" }> {
  const what = `batch ${number} of request ${id}`;
  const url = URL.parse(download_url ?? "");
  const safe = url && (url.protocol === "https:" || url.protocol === "http:" && isLoopback(url));
  if (!safe) return { kind: "retryable", message: `${what} has no link that can be followed` };
  // The link holds its own right, and is nobody's to see: no key goes there, and it in no message.
  const reply = await exchange({ url: url.href, headers: {} }, LOOK_MS, signal);
  if ("kind" in reply) {
    return { kind: "retryable", message: `${what}: ${withoutSignatures(reply.message)}` };
  }
  if (reply.status !== 200) {
    return { kind: "retryable", message: `${what}: the link gives HTTP ${reply.status}` };
  }
  const answer = jsonAnswer(reply.text);
  const { elements } = (answer.kind === "answered" && answer.body || {}) as { elements?: unknown };
  if (answer.kind === "answered" && Array.isArray(elements)) return answer;
  const why = answer.kind === "answered" ? "what the link gives is no answer" : answer.message;
  return { kind: "retryable", message: `${what}: ${why}` };
}
