/**
 * @module bench/servers: the S3 server and the API server of the benchmark in a process of their
 * own, so that the program's CPU time and memory are its own. The process prints its address as a
 * line of JSON, takes orders below `/control/`, and ends when its standard input does.
 */

import { answer } from "../doubles/s3/api.ts";
import type { DoubleState } from "../doubles/s3/types.ts";
import { type Books, type Load, Tenant } from "./tenant.ts";
import { defaultOutputKey } from "../../lib/state/keys.ts";
import { readFooter } from "../../lib/dataset/output_read.ts";
import { memorySource } from "../../lib/parquet/source.ts";
import { devCommand } from "../testing/program.ts";

/** The only access key that is let in. */
export const BENCH_ACCESS_KEY = "BENCHACCESSKEY";

/** Where a tenant is served. */
export interface Served {
  /** Base URL of its API. */
  readonly apiUrl: string;
  /** Base URL of the S3 server; the bucket has the tenant's name. */
  readonly s3Url: string;
}

/** The books, and what became of the data set. */
export interface Report extends Books {
  /** Rows of the output as its footer says; 0 if there is none. */
  readonly outputRows: number;
  /** Length of the output. */
  readonly outputBytes: number;
}

/** The servers' process, as the benchmark uses it. Disposing ends it. */
export class BenchServers implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  /** Base URL. */
  readonly url: string;

  private constructor(child: Deno.ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  /** Starts the process; it listens when the promise resolves. */
  static async start(): Promise<BenchServers> {
    const { command, args } = devCommand(import.meta.url);
    const child = new Deno.Command(command, {
      args,
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const lines = child.stdout.pipeThrough(new TextDecoderStream());
    let text = "";
    for await (const part of lines) {
      text += part;
      if (text.includes("\n")) return new BenchServers(child, JSON.parse(text).url);
    }
    throw new Error("The benchmark's servers ended before they listened");
  }

  /** Puts a data set into a tenant's bucket and starts new books. */
  async prepare(load: Load): Promise<Served> {
    await this.#control("prepare", { method: "POST", body: JSON.stringify(load) });
    return { apiUrl: `${this.url}/api/${load.tenant}/v1`, s3Url: this.url };
  }

  /** What happened since. */
  async report(tenant: string, dataset: string): Promise<Report> {
    const query = new URLSearchParams({ tenant, dataset });
    return await this.#control(`report?${query}`) as Report;
  }

  /** Forgets a tenant and its bucket, if there is one. */
  async remove(tenant: string): Promise<void> {
    await this.#control(`remove?${new URLSearchParams({ tenant })}`);
  }

  async #control(path: string, init?: RequestInit): Promise<unknown> {
    const response = await fetch(`${this.url}/control/${path}`, init);
    if (response.ok) return await response.json();
    throw new Error(`The benchmark's servers failed: ${await response.text()}`);
  }

  /** Ends the process. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close();
    await this.#child.status;
  }
}

/** Both servers, and orders to them, behind one address. */
class Servers {
  readonly #tenants = new Map<string, Tenant>();
  readonly #state: DoubleState = {
    objects: new Map(),
    uploads: new Map(),
    accessKeyId: BENCH_ACCESS_KEY,
    pageSize: 1_000,
    minPartSize: 5 * 1024 * 1024,
  };
  #index = 0;

  async handle(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const [first, ...rest] = url.pathname.slice(1).split("/");
    if (first === "control") return await this.#control(rest[0], url.searchParams, request);
    const body = await request.bytes();
    if (first === "api") {
      const tenant = this.#tenants.get(rest[0]);
      const known = tenant && rest.slice(1).join("/") === "v1/document-digitization";
      return known ? await tenant.post() : new Response("no such address", { status: 404 });
    }
    this.#tenants.get(first)?.noteStoreRequest();
    return answer(this.#state, {
      method: request.method,
      bucket: first,
      key: decodeURIComponent(rest.join("/")),
      query: url.searchParams,
      headers: request.headers,
      index: this.#index++,
    }, body);
  }

  async #control(order: string, query: URLSearchParams, request: Request): Promise<Response> {
    if (order === "prepare") {
      const load: Load = await request.json();
      const tenant = this.#tenants.get(load.tenant) ?? new Tenant();
      this.#tenants.set(load.tenant, tenant);
      this.#state.objects.set(load.tenant, tenant.objects);
      await tenant.prepare(load);
      return Response.json({});
    }
    const name = query.get("tenant") ?? "";
    if (order === "remove") {
      this.#tenants.delete(name);
      this.#state.objects.delete(name);
      return Response.json({});
    }
    const tenant = this.#tenants.get(name);
    if (!tenant) return new Response(`there is no tenant ${name}`, { status: 404 });
    const key = defaultOutputKey(query.get("dataset") ?? "");
    const output = tenant.objects.get(key)?.bytes;
    const outputRows = output ? (await readFooter(memorySource(key, output))).rows : 0;
    const report: Report = { ...tenant.books, outputRows, outputBytes: output?.length ?? 0 };
    return Response.json(report);
  }
}

async function main(): Promise<void> {
  const servers = new Servers();
  Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: ({ port }) => console.log(JSON.stringify({ url: `http://127.0.0.1:${port}` })),
    onError: (error) => {
      console.error("bench_servers:", error);
      return new Response(String(error), { status: 500 });
    },
  }, (request) => servers.handle(request));
  // The other end is closed when the parent ends, in whatever way.
  for await (const _ of Deno.stdin.readable);
  Deno.exit(0);
}

if (import.meta.main) await main();
