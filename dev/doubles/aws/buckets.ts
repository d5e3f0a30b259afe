/**
 * @module doubles/aws/buckets: buckets for `dev/doubles/aws/server.ts`: their settings, which are
 * kept as they were put, and the versions in them. Objects as such are `dev/doubles/s3/server.ts`.
 */

import { AwsRefusal } from "./refusal.ts";
import type { AwsOperation, AwsRequest, AwsState, DoubleBucket } from "./types.ts";
import { escapeXml, tag, unescapeXml, xml } from "../s3/xml.ts";

/** Query parameter → the name that operations on it have. */
const SUBRESOURCES: Readonly<Record<string, string>> = {
  location: "BucketLocation",
  tagging: "BucketTagging",
  acl: "BucketAcl",
  policy: "BucketPolicy",
  policyStatus: "BucketPolicyStatus",
  lifecycle: "BucketLifecycleConfiguration",
  versioning: "BucketVersioning",
  encryption: "BucketEncryption",
  publicAccessBlock: "PublicAccessBlock",
};

/** What S3 says where nothing was put. */
const MISSING: Readonly<Record<string, string>> = {
  tagging: "NoSuchTagSet",
  policy: "NoSuchBucketPolicy",
  policyStatus: "NoSuchBucketPolicy",
  lifecycle: "NoSuchLifecycleConfiguration",
};

/** What S3 answers where nothing was put and that is no error. */
const UNSET: Readonly<Record<string, string>> = {
  versioning: "<VersioningConfiguration/>",
  acl: "<AccessControlPolicy><AccessControlList/></AccessControlPolicy>",
};

/** What a request to S3 asks for. */
export function answerS3(state: AwsState, request: AwsRequest): AwsOperation {
  const { method, url } = request;
  const name = decodeURIComponent(url.pathname.slice(1).split("/")[0]);
  const part = Object.keys(SUBRESOURCES).find((key) => url.searchParams.has(key));
  const operation = url.searchParams.has("versions")
    ? "ListObjectVersions"
    : url.searchParams.has("delete")
    ? "DeleteObjects"
    : part
    ? (method === "PUT" ? "Put" : "Get") + SUBRESOURCES[part]
    : { PUT: "CreateBucket", HEAD: "HeadBucket", DELETE: "DeleteBucket" }[method] ?? "Unknown";
  return {
    name: operation,
    run: () => {
      if (operation === "CreateBucket") return createBucket(state, name, request);
      const bucket = state.buckets.get(name);
      if (!bucket) throw new AwsRefusal(404, "NoSuchBucket", "The bucket does not exist");
      const owner = bucket.owner ?? state.account;
      if (request.expectedOwner && request.expectedOwner !== owner) {
        throw new AwsRefusal(403, "AccessDenied", "Access Denied");
      }
      switch (operation) {
        case "HeadBucket":
          return new Response(null, { headers: { "x-amz-bucket-region": bucket.region } });
        case "DeleteBucket":
          if (bucket.versions.size > 0) throw new AwsRefusal(409, "BucketNotEmpty", "not empty");
          state.buckets.delete(name);
          return new Response(null, { status: 204 });
        case "ListObjectVersions":
          return versions(bucket, Number(url.searchParams.get("max-keys")));
        case "DeleteObjects":
          for (const [, key] of request.body.matchAll(/<Key>([^<]*)<\/Key>/g)) {
            bucket.versions.delete(unescapeXml(key));
          }
          return xml(tag("DeleteResult", ""));
        case "GetBucketLocation":
          return xml(tag(
            "LocationConstraint",
            bucket.region === "us-east-1" ? "" : bucket.region,
          ));
      }
      if (method === "PUT") {
        bucket.settings.set(part!, request.body);
        return new Response(null);
      }
      return setting(bucket, part!);
    },
    fail: ({ status, code, message }) =>
      method === "HEAD"
        ? new Response(null, { status })
        : xml(tag("Error", tag("Code", code) + tag("Message", escapeXml(message))), status),
  };
}

function createBucket(state: AwsState, name: string, request: AwsRequest): Response {
  if (state.buckets.has(name)) {
    throw new AwsRefusal(409, "BucketAlreadyOwnedByYou", "It is yours already");
  }
  const region = /<LocationConstraint>([^<]+)</.exec(request.body)?.[1] ?? "us-east-1";
  if (region !== request.region) {
    throw new AwsRefusal(400, "IllegalLocationConstraintException", "The place is not this one");
  }
  state.buckets.set(name, { region, settings: new Map(), versions: new Set() });
  return new Response(null, { headers: { location: `/${name}` } });
}

function setting(bucket: DoubleBucket, part: string): Response {
  const value = bucket.settings.get(part) ?? UNSET[part];
  if (value === undefined) {
    throw new AwsRefusal(404, MISSING[part] ?? "NoSuchConfiguration", "nothing was put there");
  }
  return part === "policy"
    ? new Response(value, { headers: { "content-type": "application/json" } })
    : new Response(value, { headers: { "content-type": "application/xml" } });
}

function versions(bucket: DoubleBucket, most: number): Response {
  const keys = [...bucket.versions].slice(0, most || 1000);
  const entries = keys.map((key) =>
    tag("Version", tag("Key", escapeXml(key)) + tag("VersionId", "v1"))
  );
  return xml(tag("ListVersionsResult", tag("IsTruncated", "false") + entries.join("")));
}
