/**
 * @module base/text: other people's texts, made fit for a message.
 */

/** One line of at most 200 characters. */
export function oneLine(text = ""): string {
  return text.replace(/\s+/g, " ").slice(0, 200);
}

/**
 * The same text without the signatures of presigned URLs (S3, Google, Azure): whoever reads one in a
 * log may fetch what it was made for.
 */
export function withoutSignatures(text: string): string {
  return text.replace(
    /([?&](?:X-(?:Amz|Goog)-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId|sig)=)[^&\s'"]+/gi,
    "$1…",
  );
}
