import assert from "node:assert/strict";
import { explain, RunError } from "./errors.ts";
import { withoutSignatures } from "./text.ts";

Deno.test("withoutSignatures() takes what makes a presigned URL work, and nothing else", () => {
  const s3 = "https://b.s3.amazonaws.com/k.png?X-Amz-Algorithm=A&X-Amz-Credential=AKIA%2Fus" +
    "&X-Amz-Date=20261126T0Z&X-Amz-Security-Token=tok&X-Amz-Signature=deadbeef";
  assert.equal(
    withoutSignatures(`it is '${s3}'`),
    "it is 'https://b.s3.amazonaws.com/k.png?X-Amz-Algorithm=A&X-Amz-Credential=…" +
      "&X-Amz-Date=20261126T0Z&X-Amz-Security-Token=…&X-Amz-Signature=…'",
  );
  assert.equal(withoutSignatures("https://a/c?sp=r&sig=x%3D&se=1"), "https://a/c?sp=r&sig=…&se=1");
  assert.equal(withoutSignatures("s3://b/a sig=1?b"), "s3://b/a sig=1?b");
});

Deno.test("explain() shows no signature", () => {
  assert.deepEqual(explain(new RunError("input", "it is 'https://a/b?Signature=abc'")), [
    "input",
    "it is 'https://a/b?Signature=…'",
  ]);
});
