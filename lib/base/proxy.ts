/**
 * @module base/proxy: the HTTP proxy that the environment names, as Node's agents take it. Deno's
 * own `fetch`, with which the API is asked, obeys the same variables by itself.
 */

import { RunError } from "./errors.ts";
import type { Environment } from "./settings.ts";

/** Proxies by the scheme of the address, and the hosts that are reached without. */
export interface ProxyVariables {
  /** For `https://` addresses: a URL. */
  readonly HTTPS_PROXY?: string;
  /** For `http://` addresses: a URL. */
  readonly HTTP_PROXY?: string;
  /** Hosts and domains that go past it, separated by commas. */
  readonly NO_PROXY?: string;
}

/**
 * Reads the variables, in capitals or not; `undefined` where no proxy is named.
 *
 * @throws {RunError} `usage` naming one that is no URL, but not its value: it may hold a password
 */
export function proxyVariables(env: Environment): ProxyVariables | undefined {
  const [HTTPS_PROXY, HTTP_PROXY] = ["HTTPS_PROXY", "HTTP_PROXY"].map((name) => {
    const value = env[name.toLowerCase()] || env[name];
    if (!value) return undefined;
    const url = value.includes("://") ? value : `http://${value}`;
    if (/^https?:\/\//i.test(url) && URL.canParse(url)) return url;
    throw new RunError("usage", `${name} must be a URL like http://proxy.example.com:3128`);
  });
  if (HTTPS_PROXY === undefined && HTTP_PROXY === undefined) return undefined;
  const NO_PROXY = env.no_proxy || env.NO_PROXY || undefined;
  return { HTTPS_PROXY, HTTP_PROXY, NO_PROXY };
}
