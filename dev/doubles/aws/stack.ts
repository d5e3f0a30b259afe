/**
 * @module doubles/aws/stack: the services of `dev/doubles/aws/server.ts` that take forms and answer
 * XML: CloudFormation, STS, EC2 and IAM. A stack is its template, parameters and status; what its
 * resources would be, nobody looks at.
 */

import { AwsRefusal } from "./refusal.ts";
import type { AwsOperation, AwsRequest, AwsState, DoubleStack } from "./types.ts";
import { escapeXml, tag, xml } from "../s3/xml.ts";

/** What a request with a form asks for. */
export function answerQuery(service: string, state: AwsState, request: AwsRequest): AwsOperation {
  const form = new URLSearchParams(request.body);
  const name = form.get("Action") ?? "";
  return {
    name,
    run: () => {
      switch (service) {
        case "sts":
          return result(
            name,
            tag("Account", state.account) +
              tag("Arn", `arn:aws:iam::${state.account}:user/somebody`) + tag("UserId", "AIDA"),
          );
        case "iam":
          return result(
            name,
            tag(
              "OpenIDConnectProviderList",
              state.providers.map((arn) => tag("member", tag("Arn", arn))).join(""),
            ),
          );
        case "ec2":
          return network(state, name, form);
        case "cloudformation":
          return cloudFormation(state, name, form, request.region);
      }
      throw new Error(`service ${service} is not known here`);
    },
    fail: ({ status, code, message }) => {
      const error = tag("Code", code) + tag("Message", escapeXml(message));
      return service === "ec2"
        ? xml(tag("Response", tag("Errors", tag("Error", error))), status)
        : xml(tag("ErrorResponse", tag("Error", tag("Type", "Sender") + error)), status);
    },
  };
}

function result(action: string, content: string): Response {
  return xml(tag(`${action}Response`, tag(`${action}Result`, content)));
}

function network(state: AwsState, action: string, form: URLSearchParams): Response {
  const values = [...form].filter(([key]) => /^(SubnetId\.\d|Filter\.1\.Value)/.test(key))
    .map(([, value]) => value);
  if (action === "DescribeVpcs") {
    const [first] = state.vpcs.keys();
    const items = first === undefined ? "" : tag("item", tag("vpcId", first));
    return xml(tag("DescribeVpcsResponse", tag("vpcSet", items)));
  }
  const all = [...state.vpcs].flatMap(([vpc, subnets]) => subnets.map((subnet) => [vpc, subnet]));
  const found = all.filter((pair) => pair.some((id) => values.includes(id)));
  if (form.has("SubnetId.1") && found.length < values.length) {
    throw new AwsRefusal(400, "InvalidSubnetID.NotFound", "The subnet ID does not exist");
  }
  const items = found.map(([vpc, subnet]) =>
    tag("item", tag("vpcId", vpc) + tag("subnetId", subnet))
  );
  return xml(tag("DescribeSubnetsResponse", tag("subnetSet", items.join(""))));
}

function cloudFormation(
  state: AwsState,
  action: string,
  form: URLSearchParams,
  region: string,
): Response {
  const name = form.get("StackName")!;
  const found = state.stacks.get(name);
  const stack = (): DoubleStack => {
    if (found) return found;
    throw new AwsRefusal(400, "ValidationError", `Stack with id ${name} does not exist`);
  };
  switch (action) {
    case "DescribeStacks":
      return result(action, tag("Stacks", tag("member", describe(state, name, stack(), region))));
    case "GetTemplateSummary":
      return result(action, tag("Parameters", parameterList(stack().parameters)));
    case "CreateChangeSet": {
      const before = found?.parameters ?? {};
      const parameters = formParameters(form, before);
      state.changeSets.set(name, { parameters, template: form.get("TemplateBody")! });
      if (!found) {
        state.stacks.set(name, { status: "REVIEW_IN_PROGRESS", parameters: {}, template: "" });
      }
      return result(action, tag("Id", name) + tag("StackId", name));
    }
    case "DescribeChangeSet": {
      const wanted = state.changeSets.get(name)!;
      const same = wanted.template === stack().template &&
        JSON.stringify(wanted.parameters) === JSON.stringify(stack().parameters);
      return result(
        action,
        tag("Status", same ? "FAILED" : "CREATE_COMPLETE") +
          (same ? tag("StatusReason", "No updates are to be performed.") : ""),
      );
    }
    case "ExecuteChangeSet": {
      const verb = stack().status === "REVIEW_IN_PROGRESS" ? "" : "UPDATE_";
      const status = state.deployFailure
        ? `${verb}ROLLBACK_COMPLETE`
        : `${verb || "CREATE_"}COMPLETE`;
      state.stacks.set(name, { status, ...state.changeSets.get(name)! });
      return result(action, "");
    }
    case "DescribeStackEvents":
      return result(action, tag("StackEvents", events(state.deployFailure)));
    case "ContinueUpdateRollback":
      stack().status = "UPDATE_ROLLBACK_COMPLETE";
      return result(action, "");
    case "DeleteStack":
      state.stacks.delete(name);
      return result(action, "");
  }
  throw new Error(`CloudFormation operation ${action} is not known here`);
}

/** Newest first, as CloudFormation lists them. */
function events(failure: string | undefined): string {
  const event = (id: string, status: string, reason: string) =>
    tag(
      "member",
      tag("LogicalResourceId", id) + tag("ResourceStatus", status) +
        (reason && tag("ResourceStatusReason", escapeXml(reason))),
    );
  return event("pseudolabel", "ROLLBACK_COMPLETE", "") + (failure === undefined ? "" : event(
    "Queue",
    "CREATE_FAILED",
    "Resource creation cancelled",
  ) + event("Repository", "CREATE_FAILED", failure));
}

function formParameters(
  form: URLSearchParams,
  before: Readonly<Record<string, string>>,
): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (let i = 1; form.has(`Parameters.member.${i}.ParameterKey`); i++) {
    const key = form.get(`Parameters.member.${i}.ParameterKey`)!;
    const value = form.get(`Parameters.member.${i}.ParameterValue`);
    const kept = form.get(`Parameters.member.${i}.UsePreviousValue`) === "true";
    parameters[key] = kept ? before[key] ?? "" : value ?? "";
  }
  return parameters;
}

function parameterList(parameters: Readonly<Record<string, string>>): string {
  return Object.entries(parameters).map(([key, value]) =>
    tag("member", tag("ParameterKey", key) + tag("ParameterValue", escapeXml(value)))
  ).join("");
}

function describe(state: AwsState, name: string, stack: DoubleStack, region: string): string {
  const { status, next } = stack;
  if (next && --next.looks <= 0) {
    if (next.status === "DELETE_COMPLETE") state.stacks.delete(name);
    stack.status = next.status;
    delete stack.next;
  }
  const { account } = state;
  const role = (kind: string) => `arn:aws:iam::${account}:role/${name}-${kind}`;
  const outputs = {
    RepositoryUri: `${account}.dkr.ecr.${region}.amazonaws.com/${name}`,
    LogGroup: `/aws/batch/${name}`,
    QueueName: name,
    JobRoleArn: role("job"),
    ExecutionRoleArn: role("execution"),
    ...(stack.parameters.GithubRepository ? { GithubRoleArn: role("github") } : {}),
  };
  const members = Object.entries(outputs).map(([key, value]) =>
    tag("member", tag("OutputKey", key) + tag("OutputValue", value))
  );
  return tag("StackName", name) + tag("StackStatus", status) +
    tag("CreationTime", "2026-11-24T00:00:00Z") +
    tag("Parameters", parameterList(stack.parameters)) + tag("Outputs", members.join(""));
}
