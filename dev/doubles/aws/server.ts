/**
 * @module doubles/aws/server: a small AWS in memory, for the tests of `setup-aws.sh`: as much of
 * each service as the script uses, in whatever state a test begins with, and a record of every
 * call.
 *
 * It owns the socket and the faults; the services are `dev/doubles/aws/buckets.ts`,
 * `dev/doubles/aws/stack.ts` and `dev/doubles/aws/json.ts`.
 */

import { answerBatch, answerSecrets } from "./json.ts";
import { answerS3 } from "./buckets.ts";
import { AwsRefusal } from "./refusal.ts";
import { answerQuery } from "./stack.ts";
import type { AwsOperation, AwsRequest, AwsState } from "./types.ts";

/** A running double; disposing it closes every connection. */
export interface AwsDouble extends AsyncDisposable {
  readonly url: string;
  readonly state: AwsState;
  /** Every call as `service:Operation`, in order. */
  readonly calls: string[];
}

/** An empty account with a default VPC; `state` overrides parts of it. */
export function startAwsDouble(given: Partial<AwsState> = {}): AwsDouble {
  const state: AwsState = {
    account: "123456789012",
    buckets: new Map(),
    secrets: new Map(),
    stacks: new Map(),
    revisions: [],
    vpcs: new Map([["vpc-0default", ["subnet-0a", "subnet-0b"]]]),
    providers: [],
    deployFailure: undefined,
    changeSets: new Map(),
    faults: new Map(),
    ...given,
  };
  const calls: string[] = [];
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
    onError: (error) => {
      console.error("aws_double:", error);
      return new Response(null, { status: 500 });
    },
  }, async (request) => {
    const scope = /Credential=[^/]+\/\d+\/([^/]+)\/([^/]+)\//
      .exec(request.headers.get("authorization") ?? "");
    if (!scope) return new Response("unsigned", { status: 403 });
    const [, region, service] = scope;
    const operation = operationOf(service, state, {
      method: request.method,
      url: new URL(request.url),
      region,
      target: request.headers.get("x-amz-target") ?? "",
      expectedOwner: request.headers.get("x-amz-expected-bucket-owner") ?? "",
      body: await request.text(),
    });
    const name = `${service}:${operation.name}`;
    calls.push(name);
    const fault = state.faults.get(name);
    if (fault) return operation.fail(fault);
    try {
      return operation.run();
    } catch (error) {
      if (error instanceof AwsRefusal) return operation.fail(error);
      throw error;
    }
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    state,
    calls,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function operationOf(service: string, state: AwsState, request: AwsRequest): AwsOperation {
  switch (service) {
    case "s3":
      return answerS3(state, request);
    case "secretsmanager":
      return answerSecrets(state, request);
    case "batch":
      return answerBatch(state, request);
    default:
      return answerQuery(service, state, request);
  }
}
