/**
 * @module view/life: whether somebody works on a data set, by its lease and heartbeat. Pure, but
 * for {@linkcode watchLease}, which looks again where their ages tell nothing.
 *
 * Clocks differ, so ages are the store's where it tells them. A lease that is old by the store and
 * young by its own stamp, or whose age the store doesn't tell, is watched: only what is seen to
 * change is known to live.
 */

import type { Clock } from "../base/clock.ts";
import type { FoundDocument } from "../state/document.ts";
import type { HeartbeatDocument, LeaseDocument } from "../state/documents.ts";
import { BEAT_MS } from "../state/heartbeat.ts";

/** A heartbeat that is older is none, milliseconds. */
const BEAT_TTL_MS = 3 * BEAT_MS;

/** How exactly a store tells an age, milliseconds: two times in whole seconds. */
const AGE_TOLERANCE_MS = 2_000;

/** A lease that was found; without a value it can't be read. */
export type FoundLease = FoundDocument<LeaseDocument>;
/** A heartbeat that was found. */
export type FoundHeartbeat = FoundDocument<HeartbeatDocument>;

/** Who works on a data set, as far as known. */
export interface Life {
  /** Whether somebody does. */
  readonly alive: boolean;
  /** Milliseconds since the last sign of life; undefined where there never was one. */
  readonly ageMs: number | undefined;
  /** Whether the age alone doesn't tell. */
  readonly doubtful: boolean;
  /** How far the clock of that process is behind this machine's, milliseconds; as far as known. */
  readonly clockLagMs: number | undefined;
  /** The heartbeat, if it is of the process that has, or had last, the lease. */
  readonly heartbeat: FoundHeartbeat & { readonly value: HeartbeatDocument } | undefined;
}

/** Judges by one look. @param now Milliseconds since the epoch, by this machine. */
export function judgeLife(
  lease: FoundLease | undefined,
  found: FoundHeartbeat | undefined,
  now: number,
): Life {
  const held = lease?.value;
  const own = found?.value && (!held || found.value.holder === held.holder);
  const heartbeat = own ? { ...found, value: found.value! } : undefined;
  const leaseAge = lease &&
    (lease.ageMs ?? (held && Math.max(0, now - Date.parse(held.renewed_at))));
  const beatAge = heartbeat &&
    (heartbeat.ageMs ?? Math.max(0, now - Date.parse(heartbeat.value.at)));
  const ageMs = least(leaseAge, beatAge);
  const lag = lease?.ageMs !== undefined && held
    ? now - lease.ageMs - Date.parse(held.renewed_at)
    : undefined;
  const common = { ageMs, clockLagMs: lag, heartbeat };
  // Whoever has said that it ends is not at work, though its lease may still stand there.
  if (held?.released || heartbeat?.value.ended) return { ...common, alive: false, doubtful: false };
  if (!lease && !heartbeat) return { ...common, alive: false, doubtful: false };
  const ttl = (held?.ttl_ms ?? BEAT_TTL_MS) + AGE_TOLERANCE_MS;
  // The lease decides; where the store can't hold one, the heartbeat is all there is.
  const beats = !lease || heartbeat?.value.leased === false;
  const alive = leaseAge !== undefined && leaseAge <= ttl ||
    beats && beatAge !== undefined && beatAge <= BEAT_TTL_MS;
  const byStamp = held ? now - Date.parse(held.renewed_at) <= ttl : false;
  const doubtful = !!held && !beats && (lease!.ageMs === undefined || !alive && byStamp);
  return { ...common, alive, doubtful };
}

function least(...ages: (number | undefined)[]): number | undefined {
  const known = ages.filter((age) => age !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
}

/**
 * Looks at a lease until it changes, or for so long that a living holder had renewed it.
 *
 * @param read Looks once.
 * @returns What was seen last, and whether it had changed.
 */
export async function watchLease(
  first: FoundLease,
  read: () => Promise<FoundLease | undefined>,
  clock: Clock,
  signal: AbortSignal,
): Promise<{ readonly lease: FoundLease | undefined; readonly changed: boolean }> {
  const ttl = first.value?.ttl_ms ?? BEAT_TTL_MS;
  const until = ttl / 3 + Math.min(3_000, ttl / 3); // it is renewed every third of its time
  const step = Math.min(2_000, until / 4);
  for (let waited = 0; waited < until; waited += step) {
    await clock.sleep(step, signal);
    const lease = await read();
    if (lease?.etag !== first.etag) return { lease, changed: true };
  }
  return { lease: first, changed: false };
}
