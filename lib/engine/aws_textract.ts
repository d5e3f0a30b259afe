/**
 * @module engine/aws_textract: Amazon Textract's DetectDocumentText: word quads with confidence, by
 * the AWS credentials that are there. Facts; `engine/aws_textract_engine.ts` asks it.
 *
 * https://docs.aws.amazon.com/textract/latest/APIReference/API_DetectDocumentText.html
 */

import { apiAddress } from "./access.ts";
import type { EngineFacts } from "./engine.ts";
import type { Environment } from "../base/settings.ts";
import { MEDIA_TYPES } from "../image/media_type.ts";

const { jpg, png, tiff } = MEDIA_TYPES;

/** As the AWS tools name it. */
export const ENDPOINT = "AWS_ENDPOINT_URL_TEXTRACT";
/** Not every region of a bucket has Textract. */
export const REGION = "TEXTRACT_REGION";

/**
 * Where Textract is asked, without a trailing slash.
 *
 * @throws {RunError} `usage` for an address that is none
 */
export function addressIn(region: string, env: Environment): string {
  const given = env[ENDPOINT];
  if (given) return apiAddress(ENDPOINT, given);
  return `https://textract.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;
}

/** What is known of it before it is loaded. */
export const AWS_TEXTRACT: Omit<EngineFacts, "load"> = {
  name: "aws-textract",
  defaultModel: "detect-document-text",
  // In us-east-1 and us-west-2. Elsewhere it is 1 to 10, which is found out.
  documentedRate: 25,
  price: { perPage: 0.0015, asOf: "November 2026" },
  granularity: "word",
  environment: [
    {
      name: REGION,
      shown: true,
      help: "region whose Textract is asked, if not that of AWS_REGION; the credentials are AWS's",
    },
    {
      name: ENDPOINT,
      shown: true,
      help: "another address of Textract, https unless on this machine",
    },
  ],
  keyVariable: undefined,
  // Of the name of an access key alone: the key itself has no form to know it by.
  looksLikeKey: (text) => /(^|[^A-Za-z0-9])(AKIA|ASIA)[A-Z2-7]{16}($|[^A-Za-z0-9])/.test(text),
  // PDF, which it takes as well, has no pixels to give places in.
  mediaTypes: new Set([jpg, png, tiff]),
  maxBytes: 10 * 1024 * 1024,
  needsPicture: true,
  // That of the environment, or of a profile: who asks nothing need not know it.
  serverOf: (env) => {
    const region = env[REGION] || env.AWS_REGION;
    return region || env[ENDPOINT] ? addressIn(region ?? "", env) : undefined;
  },
};
