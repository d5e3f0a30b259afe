/**
 * @module doubles/aws/refusal: how a service of `dev/doubles/aws/server.ts` says no.
 */

/** A service refuses. */
export class AwsRefusal extends Error {
  /** As `DoubleFault`. */
  constructor(readonly status: number, readonly code: string, message: string) {
    super(message);
  }
}
