/**
 * @module engine/engines: the engines by name. Another one is another line here: its facts, and how
 * it is loaded.
 */

import type { Environment } from "../base/settings.ts";
import { AWS_TEXTRACT } from "./aws_textract.ts";
import type { EngineFacts, EnvironmentVariable } from "./engine.ts";
import { GOOGLE_VISION } from "./google_vision.ts";
import { ownServer } from "./own_server.ts";
import { upstageOcr } from "./upstage_ocr.ts";
import { upstageParse, upstageParseAsync } from "./upstage_parse.ts";

const ENGINES: readonly [EngineFacts, ...EngineFacts[]] = [
  upstageOcr,
  upstageParse,
  upstageParseAsync,
  ownServer,
  { ...AWS_TEXTRACT, load: async () => (await import("./aws_textract_engine.ts")).awsTextract },
  { ...GOOGLE_VISION, load: async () => (await import("./google_vision_engine.ts")).googleVision },
];

/** The engine of whoever names none. */
export const DEFAULT_ENGINE: EngineFacts = ENGINES[0];

/** The engine of whoever names the address of a server. */
export const OWN_SERVER: EngineFacts = ownServer;

/** Names that {@linkcode findEngine} knows. */
export const ENGINE_NAMES: readonly string[] = ENGINES.map((engine) => engine.name);

/** What the engines read from the environment, each variable once. */
export const ENGINE_ENVIRONMENT: readonly EnvironmentVariable[] = [
  ...new Map(ENGINES.flatMap(({ environment }) => environment.map((v) => [v.name, v]))).values(),
];

/** Those with names and addresses that AWS, a message or the store would get. */
export const SHOWN_VARIABLES: readonly string[] = ENGINE_ENVIRONMENT.flatMap(({ name, shown }) =>
  shown ? [name] : []
);

/** The engine of that name; `undefined` if there is none. */
export function findEngine(name: string): EngineFacts | undefined {
  return ENGINES.find((engine) => engine.name === name);
}

/** Whether a text holds what is clearly a key of an engine. */
export function looksLikeKey(text: string): boolean {
  return ENGINES.some((engine) => engine.looksLikeKey(text));
}

/** Whether a text is a key by its form, or holds the very one that the environment gives. */
export function holdsKey(text: string, env: Environment): boolean {
  const own = ENGINES.flatMap((engine) => keysOf(engine, env));
  return looksLikeKey(text) || own.some((key) => key.length >= 20 && text.includes(key));
}

/**
 * Whether a key is clearly one of another engine, to whose API it must not go: by its form, or as
 * the environment gives that engine the very same.
 */
export function isForeignKey(engine: EngineFacts, key: string, env: Environment): boolean {
  return ENGINES.some((other) =>
    other.keyVariable !== engine.keyVariable &&
    (other.looksLikeKey(key) || keysOf(other, env).includes(key))
  );
}

/** The variable of an engine's key, where it holds what is clearly the key of another one. */
export function foreignKey(engine: EngineFacts, env: Environment): string | undefined {
  const { keyVariable } = engine;
  const key = keyVariable && env[keyVariable]?.trim();
  return key && isForeignKey(engine, key, env) ? keyVariable : undefined;
}

/** What the environment gives as an engine's keys. */
function keysOf({ keyVariable, keysVariable }: EngineFacts, env: Environment): string[] {
  const one = keyVariable && env[keyVariable] || "";
  const several = keysVariable && env[keysVariable] || "";
  return [one, ...several.split(",")].map((key) => key.trim());
}

/** The variables that keys belong into. */
export const KEY_VARIABLES: readonly string[] = [
  ...new Set(ENGINES.flatMap(({ keyVariable }) => keyVariable ?? [])),
];
