import type { ResourceState } from "../../local/pulumi/engine";
import { isObject } from "../../local/support/protocol/value";
import { DAYS } from "./traffic";

/** Types of AWS resources that cost something by themselves or by their use. */
const billedTypes = [
  "aws:apigatewayv2/api:Api",
  "aws:cloudfront/distribution:Distribution",
  "aws:cloudwatch/compositeAlarm:CompositeAlarm",
  "aws:cloudwatch/dashboard:Dashboard",
  "aws:cloudwatch/logGroup:LogGroup",
  "aws:cloudwatch/metricAlarm:MetricAlarm",
  "aws:cognito/userPool:UserPool",
  "aws:dynamodb/table:Table",
  "aws:ecr/repository:Repository",
  "aws:lambda/function:Function",
  "aws:scheduler/schedule:Schedule",
  "aws:sns/topicSubscription:TopicSubscription",
  "aws:ssm/parameter:Parameter",
];

/** Types of AWS resources that cost nothing by themselves. */
const freeTypes = [
  "aws:acm/certificate:Certificate",
  "aws:acm/certificateValidation:CertificateValidation",
  "aws:apigatewayv2/apiMapping:ApiMapping",
  "aws:apigatewayv2/authorizer:Authorizer",
  "aws:apigatewayv2/domainName:DomainName",
  "aws:apigatewayv2/integration:Integration",
  "aws:apigatewayv2/route:Route",
  "aws:apigatewayv2/stage:Stage",
  // The metrics that it creates are counted as custom metrics.
  "aws:cloudwatch/logMetricFilter:LogMetricFilter",
  "aws:cloudwatch/queryDefinition:QueryDefinition",
  "aws:cognito/managedLoginBranding:ManagedLoginBranding",
  "aws:cognito/userPoolClient:UserPoolClient",
  "aws:cognito/userPoolDomain:UserPoolDomain",
  "aws:ecr/lifecyclePolicy:LifecyclePolicy",
  "aws:iam/role:Role",
  "aws:iam/rolePolicy:RolePolicy",
  "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
  "aws:lambda/functionUrl:FunctionUrl",
  // One run of the function at each change of its input.
  "aws:lambda/invocation:Invocation",
  "aws:lambda/permission:Permission",
  // Queries of aliases to AWS resources are free. The hosted zone is not part of the stack.
  "aws:route53/record:Record",
  "aws:sns/topic:Topic",
  // Failed runs: a handful of messages.
  "aws:sqs/queue:Queue",
];

/** A Lambda function as the program declares it. */
export interface FunctionFacts {
  name: string;
  memoryGb: number;
  timeoutSeconds: number;
  /** Runs of its schedule in a month. Undefined without a schedule. */
  runs: number | undefined;
}

/** Facts of the evaluated program that have a price. */
export interface ProgramFacts {
  functions: FunctionFacts[];
  /** Routes of the API, and how many of them have a separate limit. */
  routes: { all: number; ownLimits: number };
  tables: number;
  /** Tables with backups for point-in-time recovery. */
  backedUpTables: number;
  alarms: number;
  compositeAlarms: number;
  dashboards: number;
  /** Days for which the logs are kept. */
  logRetentionDays: number;
  logGroups: number;
  /** Parameters that SSM encrypts. */
  secrets: number;
  alarmEmails: number;
  /** CloudFront distributions in front of the relay. */
  distributions: number;
  /** ECR repositories, by the name of the model. */
  repositories: string[];
}

/**
 * Counts the resources of the evaluated program.
 *
 * @throws Error that names a type of AWS resource whose price is not known
 */
export function countResources(resources: readonly ResourceState[]): ProgramFacts {
  const ofType = (type: string) => resources.filter((resource) => resource.type === type);
  refuseUnknownTypes(resources);
  const tables = ofType("aws:dynamodb/table:Table");
  const [stage] = ofType("aws:apigatewayv2/stage:Stage");
  const runs = new Map(ofType("aws:scheduler/schedule:Schedule").map((one) => [nameOf(one), runsOf(one)]));
  return {
    functions: ofType("aws:lambda/function:Function").map((one) => ({
      name: nameOf(one),
      memoryGb: numberOf(one, "memorySize") / 1_024,
      timeoutSeconds: numberOf(one, "timeout"),
      runs: runs.get(nameOf(one)),
    })),
    routes: {
      all: ofType("aws:apigatewayv2/route:Route").length,
      ownLimits: Array.isArray(stage?.inputs.routeSettings) ? stage.inputs.routeSettings.length : 0,
    },
    tables: tables.length,
    backedUpTables: tables.filter(({ inputs }) => enabled(inputs.pointInTimeRecovery)).length,
    alarms: ofType("aws:cloudwatch/metricAlarm:MetricAlarm").length,
    compositeAlarms: ofType("aws:cloudwatch/compositeAlarm:CompositeAlarm").length,
    dashboards: ofType("aws:cloudwatch/dashboard:Dashboard").length,
    logRetentionDays: Math.max(...ofType("aws:cloudwatch/logGroup:LogGroup").map(retentionOf)),
    logGroups: ofType("aws:cloudwatch/logGroup:LogGroup").length,
    secrets: ofType("aws:ssm/parameter:Parameter").filter(({ inputs }) => inputs.type === "SecureString").length,
    alarmEmails: ofType("aws:sns/topicSubscription:TopicSubscription").filter(
      ({ inputs }) => inputs.protocol === "email",
    ).length,
    distributions: ofType("aws:cloudfront/distribution:Distribution").length,
    repositories: ofType("aws:ecr/repository:Repository").map(nameOf),
  };
}

function refuseUnknownTypes(resources: readonly ResourceState[]): void {
  const known = new Set([...billedTypes, ...freeTypes]);
  const unknown = resources.find(({ type }) => type.startsWith("aws:") && !known.has(type));
  if (unknown) {
    throw new Error(
      `No price is known for ${unknown.type} "${nameOf(unknown)}". Add the type to ops/cost/resources.ts: with its price ` +
        "in ops/cost/prices/aws.ts, or to freeTypes.",
    );
  }
}

function nameOf({ urn }: ResourceState): string {
  return urn.slice(urn.lastIndexOf("::") + 2);
}

function numberOf(resource: ResourceState, property: string): number {
  const value = resource.inputs[property];
  if (typeof value === "number") return value;
  throw new Error(`${resource.type} "${nameOf(resource)}" has no ${property}`);
}

function enabled(block: unknown): boolean {
  return isObject(block) && block.enabled === true;
}

/** A log group without a retention keeps its lines for ever: one year stands for that. */
function retentionOf({ inputs }: ResourceState): number {
  return typeof inputs.retentionInDays === "number" && inputs.retentionInDays > 0 ? inputs.retentionInDays : 365;
}

const unitSeconds = { minute: 60, hour: 3_600, day: 86_400 };

/** Runs of a schedule in a month, from its expression such as `rate(15 minutes)`. */
function runsOf(schedule: ResourceState): number {
  const expression = String(schedule.inputs.scheduleExpression);
  const [, count, unit] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression) ?? [];
  if (!unit) throw new Error(`The schedule "${nameOf(schedule)}" has the expression ${expression}: expected rate(…)`);
  return (DAYS * unitSeconds.day) / (Number(count) * unitSeconds[unit as keyof typeof unitSeconds]);
}
