/**
 * @module testing/connection: an engine that is ready to ask a server of the tests.
 */

import { systemClock } from "../../lib/base/clock.ts";
import type { Connection, ConnectOptions } from "../../lib/engine/engine.ts";
import { upstageOcr } from "../../lib/engine/upstage_ocr.ts";

/** Connects to a server with a key that it takes, or as `options` say; there is no environment. */
export function connectTo(
  baseUrl: string | undefined,
  options: Partial<ConnectOptions> = {},
): Promise<Connection> {
  const readSecret = () => Promise.reject(new Error("there are no secrets"));
  const note = () => {};
  return upstageOcr.connect({
    env: {},
    readSecret,
    clock: systemClock,
    note,
    baseUrl,
    key: options.env ? undefined : "key",
    ...options,
  });
}
