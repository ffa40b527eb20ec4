import {
  compositeAlarm,
  dashboard,
  logGroup,
  logMetricFilter,
  metricAlarm,
  queryDefinition,
} from "../cloudwatch/resources";
import { managedLoginBranding, userPool, userPoolClient, userPoolDomain } from "../cognito";
import { certificate, certificateValidation } from "../domains/certificates";
import { distribution } from "../domains/distribution";
import { record } from "../domains/records";
import { table } from "../dynamodb/table";
import { image } from "../ecr/dockerBuild";
import { lifecyclePolicy, repository } from "../ecr/resources";
import { functionUrl } from "../functionUrl/resources";
import { apiMapping, domainName } from "../httpApi/domainName";
import { api, authorizer, integration, route, stage } from "../httpApi/resources";
import { policy, role, rolePolicy, rolePolicyAttachment } from "../iam/resources";
import { eventInvokeConfig, invocation, lambdaFunction, permission } from "../lambda/resources";
import { schedule } from "../scheduler";
import { topic, topicSubscription } from "../sns/resources";
import { queue } from "../sqs";
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
    domainName,
    apiMapping,
    certificate,
    certificateValidation,
    record,
    distribution,
    lambdaFunction,
    permission,
    eventInvokeConfig,
    invocation,
    queue,
    functionUrl,
    schedule,
    role,
    rolePolicy,
    rolePolicyAttachment,
    policy,
    logGroup,
    metricAlarm,
    compositeAlarm,
    dashboard,
    queryDefinition,
    logMetricFilter,
    topic,
    topicSubscription,
    table,
    parameter,
    repository,
    lifecyclePolicy,
    image,
  ].map((one) => [one.type, one]),
);

/**
 * Returns the description of a resource type.
 *
 * @throws Error when the local cloud does not support `type`; the message lists the supported types
 */
export function resourceType(type: string): ResourceType {
  const found = types.get(type);
  if (found !== undefined) return found;
  throw new Error(`The local cloud does not support ${type}. It supports: ${[...types.keys()].join(", ")}.`);
}
