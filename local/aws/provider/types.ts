import { metricAlarm } from "../cloudwatch/alarms";
import { logGroup } from "../cloudwatch/logs";
import { managedLoginBranding, userPool, userPoolClient, userPoolDomain } from "../cognito";
import { table } from "../dynamodb/dynamodb";
import { image } from "../ecr/dockerBuild";
import { lifecyclePolicy, repository } from "../ecr/ecr";
import { api, authorizer, integration, route, stage } from "../httpApi/httpApi";
import { policy, role, rolePolicy, rolePolicyAttachment } from "../iam/iam";
import { lambdaFunction, permission } from "../lambda/lambda";
import { schedule } from "../scheduler";
import { parameter } from "../ssm";
import type { ResourceType } from "../support/resource";

const types: ReadonlyMap<string, ResourceType> = new Map(
  [
    userPool,
    userPoolClient,
    userPoolDomain,
    managedLoginBranding,
    api,
    authorizer,
    integration,
    route,
    stage,
    lambdaFunction,
    permission,
    schedule,
    role,
    rolePolicy,
    rolePolicyAttachment,
    policy,
    logGroup,
    metricAlarm,
    table,
    parameter,
    repository,
    lifecyclePolicy,
    image,
  ].map((one) => [one.type, one]),
);

/**
 * The description of a resource type.
 *
 * @throws Error naming the type when the local cloud has no body for it
 */
export function resourceType(type: string): ResourceType {
  const found = types.get(type);
  if (found !== undefined) return found;
  throw new Error(`The local cloud has no body for ${type}. It has: ${[...types.keys()].join(", ")}.`);
}
