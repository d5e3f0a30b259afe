/**
 * @module doubles/aws/json: Secrets Manager and Batch for `dev/doubles/aws/server.ts`, the services
 * that speak JSON.
 */

import { AwsRefusal } from "./refusal.ts";
import type { AwsOperation, AwsRequest, AwsState } from "./types.ts";

/** What a request to Secrets Manager asks for. */
export function answerSecrets(state: AwsState, request: AwsRequest): AwsOperation {
  const name = request.target.split(".").pop() ?? "";
  const input = parse(request.body);
  const id = String(input.SecretId ?? input.Name);
  const arn = `arn:aws:secretsmanager:${request.region}:${state.account}:secret:${id}-AbCdEf`;
  const run = () => {
    const secret = state.secrets.get(id);
    if (name === "CreateSecret") {
      if (secret) throw new AwsRefusal(400, "ResourceExistsException", `${id} exists`);
      state.secrets.set(id, { value: String(input.SecretString), deleted: false });
      return json({ ARN: arn, Name: id });
    }
    if (!secret) {
      throw new AwsRefusal(
        400,
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret.",
      );
    }
    switch (name) {
      case "DescribeSecret":
        return json({
          ARN: arn,
          Name: id,
          Tags: Object.entries(secret.tags ?? { project: "pseudolabel" })
            .map(([Key, Value]) => ({ Key, Value })),
          ...(secret.deleted ? { DeletedDate: 1_790_000_000 } : {}),
          ...(secret.value === undefined ? {} : { VersionIdsToStages: { v1: ["AWSCURRENT"] } }),
        });
      case "RestoreSecret":
        secret.deleted = false;
        return json({ ARN: arn, Name: id });
      case "DeleteSecret":
        secret.deleted = true;
        return json({ ARN: arn, Name: id });
      case "PutSecretValue":
        if (secret.deleted) throw new AwsRefusal(400, "InvalidRequestException", "it is deleted");
        secret.value = String(input.SecretString);
        return json({ ARN: arn, Name: id, VersionId: "v2" });
    }
    throw new AwsRefusal(400, "UnknownOperationException", name);
  };
  return { name, run, fail };
}

/** What a request to Batch asks for. */
export function answerBatch(state: AwsState, request: AwsRequest): AwsOperation {
  const path = request.url.pathname;
  const input = parse(request.body);
  const prefix = `arn:aws:batch:${request.region}:${state.account}:job-definition/`;
  switch (path) {
    case "/v1/describejobdefinitions":
      return {
        name: "DescribeJobDefinitions",
        fail,
        run: () =>
          json({
            jobDefinitions: state.revisions
              .filter(({ active, request }) =>
                active && request.jobDefinitionName === input.jobDefinitionName
              )
              .map(({ arn, revision, request }) => ({
                ...request,
                jobDefinitionArn: arn,
                revision,
                status: "ACTIVE",
              })),
          }),
      };
    case "/v1/registerjobdefinition":
      return {
        name: "RegisterJobDefinition",
        fail,
        run: () => {
          const revision = state.revisions.length + 1;
          const arn = `${prefix}${input.jobDefinitionName}:${revision}`;
          state.revisions.push({ request: input, arn, revision, active: true });
          return json({
            jobDefinitionArn: arn,
            jobDefinitionName: input.jobDefinitionName,
            revision,
          });
        },
      };
    case "/v1/deregisterjobdefinition":
      return {
        name: "DeregisterJobDefinition",
        fail,
        run: () => {
          for (const one of state.revisions) {
            if (one.arn === input.jobDefinition) one.active = false;
          }
          return json({});
        },
      };
  }
  throw new Error(`Batch operation ${path} is not known here`);
}

function parse(body: string): Record<string, unknown> {
  return body === "" ? {} : JSON.parse(body);
}

function json(value: unknown): Response {
  return Response.json(value);
}

function fail(fault: { status: number; code: string; message: string }): Response {
  return Response.json({ __type: fault.code, message: fault.message }, {
    status: fault.status,
    headers: { "x-amzn-errortype": fault.code },
  });
}
