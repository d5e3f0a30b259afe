/**
 * @module doubles/aws/types: what `dev/doubles/aws/server.ts` and its services share: all that an
 * account holds, a request, and what a service makes of it.
 */

/** A bucket and what was put on it. */
export interface DoubleBucket {
  readonly region: string;
  /** Subresource (`policy`, `versioning`, …) → the body that was put. */
  readonly settings: Map<string, string>;
  /** Keys of its objects and delete markers, one version each. */
  readonly versions: Set<string>;
  /** Account it belongs to. @default the one that asks */
  readonly owner?: string;
}

/** A secret; `undefined` as value is one that was made and never given a value. */
export interface DoubleSecret {
  value: string | undefined;
  deleted: boolean;
  /** Its tags. @default those of the script, for the name `pseudolabel` */
  readonly tags?: Readonly<Record<string, string>>;
}

/** A CloudFormation stack. */
export interface DoubleStack {
  status: string;
  /** The status that follows after so many more looks at it. */
  next?: { looks: number; status: string };
  parameters: Record<string, string>;
  template: string;
}

/** One revision of a job definition. */
export interface DoubleRevision {
  readonly request: Record<string, unknown>;
  readonly arn: string;
  readonly revision: number;
  active: boolean;
}

/** An error instead of an answer. */
export interface DoubleFault {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** Everything there is. */
export interface AwsState {
  readonly account: string;
  readonly buckets: Map<string, DoubleBucket>;
  readonly secrets: Map<string, DoubleSecret>;
  readonly stacks: Map<string, DoubleStack>;
  readonly revisions: DoubleRevision[];
  /** VPC → its public subnets; the first is the default VPC. */
  readonly vpcs: Map<string, readonly string[]>;
  readonly providers: string[];
  /** Why the next deployment fails; `undefined` lets it succeed. */
  deployFailure: string | undefined;
  /** Changes under way on stacks: the change set that is not executed yet. */
  readonly changeSets: Map<string, Pick<DoubleStack, "parameters" | "template">>;
  /** `service:Operation` → what it answers instead. */
  readonly faults: Map<string, DoubleFault>;
}

/** A request as the services see it. */
export interface AwsRequest {
  readonly method: string;
  readonly url: URL;
  readonly region: string;
  readonly target: string;
  /** Account that a bucket must belong to; empty for any. */
  readonly expectedOwner: string;
  readonly body: string;
}

/** What a service makes of a request: the operation's name, and how to carry it out. */
export interface AwsOperation {
  readonly name: string;
  run(): Response;
  /** The error in this service's form. */
  fail(fault: DoubleFault): Response;
}
