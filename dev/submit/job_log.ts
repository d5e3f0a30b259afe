/**
 * @module submit/job_log: the log streams of a Batch job, read forward as they grow. It prints each
 * line once and remembers the program's last `end` event.
 */

import { type AwsCli, AwsError } from "./aws_cli.ts";

/** The streams of one job's attempts. */
export class JobLog {
  readonly #aws: AwsCli;
  readonly #group: string;
  readonly #print: (line: string) => void;
  /** Where to go on, by stream. */
  readonly #tokens = new Map<string, string>();
  #denied = false;
  #end: Record<string, unknown> | undefined;

  /** @param group Log group of the job definition. */
  constructor(aws: AwsCli, group: string, print: (line: string) => void) {
    this.#aws = aws;
    this.#group = group;
    this.#print = print;
  }

  /** The figures of the last process that got to its end. */
  get end(): Readonly<Record<string, unknown>> | undefined {
    return this.#end;
  }

  /**
   * Prints what a stream has gained. A stream that isn't there yet is no error; one that may not be
   * read is said once, as the job can be followed without.
   *
   * @throws {AwsError} `login`, `again` and the like
   */
  async drain(stream: string): Promise<void> {
    if (this.#denied) return;
    try {
      // The token stays the same at the end of what there is.
      for (let before: string | undefined = ""; before !== this.#tokens.get(stream);) {
        before = this.#tokens.get(stream);
        await this.#page(stream, before);
      }
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      if (error.kind === "missing") return;
      if (error.kind !== "denied") throw error;
      this.#denied = true;
      this.#print(`The log is not shown: ${error.message}`);
    }
  }

  async #page(stream: string, token: string | undefined): Promise<void> {
    const page = await this.#aws.json(
      ...["logs", "get-log-events", "--log-group-name", this.#group, "--log-stream-name", stream],
      ...(token ? ["--next-token", token] : ["--start-from-head"]),
    ) as { events?: { message?: string }[]; nextForwardToken?: string } | undefined;
    for (const { message = "" } of page?.events ?? []) this.#line(message);
    if (page?.nextForwardToken) this.#tokens.set(stream, page.nextForwardToken);
  }

  #line(message: string): void {
    // The bar at the front keeps a runner from taking a line for one of its own commands.
    // deno-lint-ignore no-control-regex
    this.#print(`  | ${message.trimEnd().replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/g, "\ufffd")}`);
    if (!message.startsWith("{")) return;
    try {
      const event = JSON.parse(message);
      if (event?.event === "end") this.#end = event;
    } catch {
      // A line that only looks like an event.
    }
  }
}
