import { genericResource } from "../../local/aws/iam/genericResource";
import { role, rolePolicy } from "../../local/aws/iam/resources";
import { lambdaFunction } from "../../local/aws/lambda/resources";
import type { ResourceState } from "../../local/pulumi/state";
import { nameOf } from "../../local/pulumi/urn";

/** One permission of a role: one action on one resource. */
export interface Grant {
  /** Logical name of the role, which is the name of the function that has it. */
  role: string;
  action: string;
  /** The resource in the form of `genericResource`. It may contain a `*`. */
  resource: string;
  /** Pattern of the partition keys of DynamoDB items, if the policy limits them. */
  keys?: string;
}

/** A statement as this program writes it: lists of actions and resources, and never `NotAction` or `Deny`. */
interface Statement {
  Effect: "Allow";
  Action: string[];
  Resource: string[];
  Condition?: { "ForAllValues:StringLike"?: { "dynamodb:LeadingKeys"?: string[] } };
}

/**
 * Lists the permissions of all roles in an evaluated program.
 *
 * @param resources the resources of the stack
 */
export function grantsOf(resources: readonly ResourceState[], stack: string): Grant[] {
  const ofType = (type: string) => resources.filter((resource) => resource.type === type);
  const [, , , region = ""] = String(ofType(lambdaFunction.type)[0]?.outputs.arn).split(":");
  return ofType(rolePolicy.type).flatMap(({ inputs }) => {
    const owner = ofType(role.type).find(({ id }) => id === inputs.role);
    if (!owner) throw new Error(`The role ${inputs.role} of a policy does not exist`);
    const { Statement } = JSON.parse(String(inputs.policy)) as { Statement: Statement[] };
    return Statement.flatMap((statement) => split(statement)).map((grant) => ({
      role: nameOf(owner.urn),
      ...grant,
      resource: genericResource(grant.resource, { stack, region }),
    }));
  });
}

function split({ Action, Resource, Condition }: Statement): Omit<Grant, "role">[] {
  const keys = Condition?.["ForAllValues:StringLike"]?.["dynamodb:LeadingKeys"];
  return Action.flatMap((action) =>
    Resource.flatMap((resource) => {
      const grant = { action, resource };
      return keys ? keys.map((each) => ({ ...grant, keys: each })) : [grant];
    }),
  );
}
