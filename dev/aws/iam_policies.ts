/**
 * @module aws/iam_policies: what the roles of a worked-out template may do, for tests: allow
 * statements with actions and resources. The few conditions they have are left to the tests.
 */

import type { Resource, Value } from "./cloudformation.ts";

/** A statement with lists for its single values. */
export interface Statement {
  readonly sid: string;
  readonly effect: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly condition: Value | undefined;
}

/** Every permission statement of a role, its separate policies included. */
export function statementsOf(resources: Record<string, Resource>, role: string): Statement[] {
  const own = resources[role].Properties!.Policies as unknown as { PolicyDocument: Document }[];
  const apart = Object.values(resources)
    .filter(({ Type, Properties }) =>
      Type === "AWS::IAM::RolePolicy" && Properties!.RoleName === role
    )
    .map(({ Properties }) => Properties as unknown as { PolicyDocument: Document });
  return [...own, ...apart].flatMap(({ PolicyDocument }) =>
    PolicyDocument.Statement.map((statement) => ({
      sid: statement.Sid ?? "",
      effect: statement.Effect,
      actions: [statement.Action].flat(),
      resources: [statement.Resource].flat(),
      condition: statement.Condition,
    }))
  );
}

interface Document {
  readonly Statement: readonly {
    readonly Sid?: string;
    readonly Effect: string;
    readonly Action: string | string[];
    readonly Resource: string | string[];
    readonly Condition?: Value;
  }[];
}

/** Whether statements without deny allow an action on a resource, conditions aside. */
export function allows(
  statements: readonly Statement[],
  action: string,
  resource: string,
): boolean {
  return statements.some(({ effect, actions, resources }) =>
    effect === "Allow" && actions.includes(action) && resources.some((r) => glob(r, resource))
  );
}

function glob(pattern: string, text: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.?+^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(text);
}
