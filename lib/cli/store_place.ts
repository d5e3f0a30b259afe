/**
 * @module cli/store_place: which store the user named, a bucket or a folder, by `--store` or
 * `--s3-bucket`.
 */

import { fileURLToPath } from "node:url";
import type { Settings } from "../base/settings.ts";
import { type OptionValues, usageError } from "./option_values.ts";
import { OPTIONS } from "./options.ts";

const BUCKET_NAME = "3 to 63 lower-case letters, digits, '.' and '-'";

function isBucket(value: string): boolean {
  return /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(value);
}

/**
 * The store that was named; what a flag names wins over what a variable names.
 *
 * @throws {RunError} `usage` for what is no store, and for two of them
 */
export function readStore(values: OptionValues): Pick<Settings, "s3Bucket" | "folder"> {
  const [place, bucket] = [values.given(OPTIONS.store), values.given(OPTIONS.s3Bucket)];
  const isFlag = (given: typeof place) => given?.[1].startsWith("--");
  const both = place && bucket && isFlag(place) === isFlag(bucket);
  if (both && place[0].replace(/^s3:\/\/|\/$/g, "") !== bucket[0]) {
    throw usageError(`${place[1]} and ${bucket[1]} name two stores: give one of them`);
  }
  if (bucket && (!place || isFlag(bucket))) {
    const is = `a bucket name (${BUCKET_NAME})`;
    return { s3Bucket: values.text(OPTIONS.s3Bucket, "", isBucket, is), folder: undefined };
  }
  if (!place) return { s3Bucket: undefined, folder: undefined };
  const named = values.text(
    OPTIONS.store,
    "",
    (value) => bucketOf(value) !== undefined || isFolder(value),
    `a folder, or s3://bucket without a prefix (a bucket has ${BUCKET_NAME})`,
  );
  const s3Bucket = bucketOf(named);
  if (s3Bucket !== undefined) return { s3Bucket, folder: undefined };
  return { s3Bucket, folder: named.startsWith("file://") ? fileURLToPath(named) : named };
}

function bucketOf(place: string): string | undefined {
  const name = /^s3:\/\/([^/]*)\/?$/.exec(place)?.[1];
  return name !== undefined && isBucket(name) ? name : undefined;
}

/** Whether a place is a path, or a URL of a file on this machine. */
function isFolder(place: string): boolean {
  if (place.includes("\0") || /^s3:/i.test(place)) return false;
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(place)) return place.trim() !== "";
  try {
    return place.startsWith("file:///") && fileURLToPath(place) !== "";
  } catch {
    return false;
  }
}
