/**
 * @module view/aws_price: what a run costs on AWS beside the API: the size of task and the prices
 * of `docs/OPERATIONS.md`, with their date. Pure.
 */

/** US dollars, us-east-1, on demand; November 2026. */
export const AWS_PRICES = {
  asOf: "November 2026",
  /** A vCPU, a gigabyte and a public address for an hour. */
  vcpuHour: 0.0405,
  gigabyteHour: 0.0044,
  addressHour: 0.005,
  /** A thousand requests. */
  puts: 0.005,
  gets: 0.0004,
} as const;

/** vCPU and gigabytes of the task in `batch-job-def.json`. */
const TASK = { vcpu: 0.25, gigabytes: 0.5 };
/** PUTs in an hour, whatever is done: lease, heartbeat, learnt rate. */
const HOURLY_PUTS = 3_600 / 10 + 3_600 / 15 + 60;

/** Batch ends an attempt after so long, seconds: `timeout` in `batch-job-def.json`. */
export const JOB_TIMEOUT_S = 1_209_600;

/** US dollars. @param hours Of work. @param pages That are paid. @param rows That are made. */
export function awsCost(hours: number, pages: number, rows: number, batchSize: number): number {
  const { vcpuHour, gigabyteHour, addressHour, puts, gets } = AWS_PRICES;
  const hourly = TASK.vcpu * vcpuHour + TASK.gigabytes * gigabyteHour + addressHour;
  const written = pages + rows / batchSize + hours * HOURLY_PUTS;
  return hours * hourly + written / 1_000 * puts + 2 * rows / 1_000 * gets;
}
