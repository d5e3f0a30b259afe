/**
 * @module aws/cloudformation: reads a CloudFormation template and works out what it comes to for
 * given parameters, as far as `dev/aws/stack.yaml` uses the language, for tests.
 */

import { parse, type ScalarTag } from "yaml";

/** JSON as CloudFormation takes it. */
export type Value = string | number | boolean | null | Value[] | { [key: string]: Value };

/** A resource of a template. */
export interface Resource {
  readonly Type: string;
  readonly Condition?: string;
  readonly DependsOn?: string;
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
  readonly Properties?: Record<string, Value>;
}

/** A template, its short forms (`!Ref`) written out. */
export interface Template {
  readonly Parameters: Record<string, { readonly Type: string; readonly Default?: Value }>;
  readonly Conditions: Record<string, Value>;
  readonly Resources: Record<string, Resource>;
  readonly Outputs: Record<string, { readonly Condition?: string; readonly Value: Value }>;
}

const FUNCTIONS = ["And", "Equals", "GetAtt", "GetAZs", "If", "Join", "Not", "Select", "Split"];

/** Parses YAML with CloudFormation's tags. */
export function parseTemplate(text: string): Template {
  const names = ["Ref", "Condition", "Sub", ...FUNCTIONS];
  const key = (name: string) => name === "Ref" || name === "Condition" ? name : `Fn::${name}`;
  const customTags = names.flatMap((name) => [
    {
      tag: `!${name}`,
      resolve: (text: string) => ({
        [key(name)]: name === "GetAtt" ? text.split(/\.(.*)/, 2) : text,
      }),
    },
    {
      tag: `!${name}`,
      collection: "seq" as const,
      resolve: (items: { toJSON(): Value }) => ({ [key(name)]: items.toJSON() }),
    },
  ]) as ScalarTag[];
  return JSON.parse(JSON.stringify(parse(text, { customTags })));
}

/** The one key of a written-out function, and what it is applied to. */
export function functionOf(value: Value): readonly [name: string, argument: Value] | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const keys = Object.keys(value);
  return keys.length === 1 && /^(Ref|Condition|Fn::\w+)$/.test(keys[0])
    ? [keys[0], value[keys[0]]]
    : undefined;
}

/**
 * Works out a template.
 *
 * @param given Parameters; those that are missing take their defaults.
 * @param known What `Ref` (by name) and `GetAtt` (by `Name.Attribute`) give for resources and
 *   pseudo parameters; for others it is their name.
 * @returns The resources whose condition holds, with plain values.
 */
export function workOut(
  template: Template,
  given: Readonly<Record<string, string>>,
  known: Readonly<Record<string, string>>,
): Record<string, Resource> {
  const parameter = (name: string): Value | undefined => {
    if (!Object.hasOwn(template.Parameters, name)) return undefined;
    const { Type, Default } = template.Parameters[name];
    const value = given[name] ?? Default;
    if (value === undefined) throw new Error(`parameter ${name} is not given`);
    return Type === "CommaDelimitedList" ? String(value).split(",") : value;
  };
  const holds = (name: string) => work(template.Conditions[name]) === true;
  const name = (text: string) => parameter(text) ?? known[text] ?? text;
  const work = (value: Value): Value => {
    const call = functionOf(value);
    if (!call) {
      if (Array.isArray(value)) return value.map(work);
      if (typeof value !== "object" || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, work(part)]));
    }
    const [fn, argument] = call;
    switch (fn) {
      case "Ref":
        return name(argument as string);
      case "Condition":
        return holds(argument as string);
      case "Fn::Sub":
        return (argument as string).replace(/\$\{([^}]+)\}/g, (_, part) => String(name(part)));
      case "Fn::GetAtt":
        return known[(argument as string[]).join(".")] ?? (argument as string[]).join(".");
      case "Fn::GetAZs":
        return ["zone-a", "zone-b"];
      case "Fn::If": {
        const [condition, yes, no] = argument as Value[];
        return work(holds(condition as string) ? yes : no);
      }
    }
    const list = work(argument) as Value[];
    switch (fn) {
      case "Fn::And":
        return list.every((part) => part === true);
      case "Fn::Not":
        return list[0] !== true;
      case "Fn::Equals":
        return list[0] === list[1];
      case "Fn::Join":
        return (list[1] as string[]).join(list[0] as string);
      case "Fn::Split":
        return (list[1] as string).split(list[0] as string);
      case "Fn::Select":
        return (list[1] as Value[])[Number(list[0])];
    }
    throw new Error(`function ${fn} is not known here`);
  };
  return Object.fromEntries(
    Object.entries(template.Resources)
      .filter(([, { Condition }]) => Condition === undefined || holds(Condition))
      .map(([id, resource]) => [id, {
        ...resource,
        Properties: work(resource.Properties ?? {}) as Record<string, Value>,
      }]),
  );
}
