import { paginateGetResources, ResourceGroupsTaggingAPIClient } from "@aws-sdk/client-resource-groups-tagging-api";
import { stackNames, stackTags } from "../../../names";
import { type Aws, awsClient } from "../awsClient";

/** Forms of the ARNs, each with the name that the service's API takes. */
const forms = {
  alarms: /:cloudwatch:[^:]*:\d+:alarm:(.+)$/,
  apis: /:apigateway:[^:]*::\/apis\/(\w+)$/,
  functions: /:lambda:[^:]*:\d+:function:([\w-]+)$/,
  queues: /:sqs:[^:]*:\d+:([\w-]+)$/,
  tables: /:dynamodb:[^:]*:\d+:table\/([\w.-]+)$/,
  topics: /^(arn:[^:]+:sns:[^:]*:\d+:[\w-]+)$/,
  userPools: /:cognito-idp:[^:]*:\d+:userpool\/([\w-]+)$/,
} as const;

/** Names of a stack's resources at AWS, as the services' APIs take them. The name of a topic is its ARN. */
export type StackResources = Record<keyof typeof forms, string[]>;

/** Finds a stack's resources by the tags that the AWS provider sets on each. */
export async function findStackResources(stack: string, aws: Aws): Promise<StackResources> {
  const client = new ResourceGroupsTaggingAPIClient(awsClient("inspection", aws));
  const TagFilters = Object.entries(stackTags(stack)).map(([Key, value]) => ({ Key, Values: [value] }));
  const arns: string[] = [];
  for await (const page of paginateGetResources({ client }, { TagFilters, ResourcesPerPage: 100 })) {
    arns.push(...(page.ResourceTagMappingList ?? []).flatMap(({ ResourceARN }) => ResourceARN ?? []));
  }
  return groupArns(arns);
}

/** Sorts ARNs by the kind of their resource. Ignores all other kinds. */
function groupArns(arns: string[]): StackResources {
  const found = Object.entries(forms).map(([kind, form]) => [kind, arns.flatMap((arn) => form.exec(arn)?.[1] ?? [])]);
  return Object.fromEntries(found) as StackResources;
}

/** Next step when a resource of the stack does not exist. */
export const createAgain =
  'Run "pulumi refresh", then "pulumi up". If somebody changed its tags: "pulumi up --refresh".';

/** Logical name of a resource: its name without the stack's prefix and without Pulumi's random end. */
export function logicalName(name: string, stack: string): string {
  const { prefix } = stackNames(stack);
  const own = name.startsWith(`${prefix}-`) ? name.slice(prefix.length + 1) : name;
  return own.replace(/-[\da-f]{7}$/, "");
}
