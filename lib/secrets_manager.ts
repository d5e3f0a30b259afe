/**
 * @module secrets_manager: reads one secret from AWS Secrets Manager. Loaded only where
 * `AWS_SECRET_ARN` is used, as the SDK is heavy.
 */

import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { RunError } from "./errors.ts";

/**
 * The text of a secret.
 *
 * @param id Name or ARN; an ARN's own region is asked.
 * @throws {RunError} `usage` naming the secret and what is wrong, never its value
 */
export async function readSecret(id: string): Promise<string> {
  const region = /^arn:[^:]+:secretsmanager:([^:]+):/.exec(id)?.[1];
  const client = new SecretsManagerClient(region ? { region } : {});
  try {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: id }));
    if (SecretString === undefined) {
      throw new RunError("usage", `secret ${id} is binary: store the API key as text`);
    }
    return SecretString;
  } catch (error) {
    if (error instanceof RunError) throw error;
    throw new RunError("usage", `cannot read secret ${id}: ${advice(error as Error)}`, {
      cause: error,
    });
  } finally {
    client.destroy();
  }
}

function advice(error: Error): string {
  switch (error.name) {
    case "ResourceNotFoundException":
      return "it does not exist in that region; check AWS_SECRET_ARN and AWS_REGION";
    case "AccessDeniedException":
      return "access denied; allow secretsmanager:GetSecretValue on it";
    case "CredentialsProviderError":
      return "no AWS credentials; set AWS_PROFILE or AWS_ACCESS_KEY_ID, or give the task a role";
    default:
      return `${error.name}: ${error.message}`;
  }
}
