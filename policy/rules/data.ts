import { at, type Rule, type StackResource } from "../rule";

const TABLE = "aws:dynamodb/table:Table";

/** Whether a table keeps its items. A table with a TTL holds counters and locks, which expire. */
function keepsItems({ type, props }: StackResource): boolean {
  return type === TABLE && at(props, "ttl.enabled") !== true;
}

/** Rules about data that a mistake must not destroy. */
export const dataRules: Rule[] = [
  {
    name: "table-deletion-protection",
    description: "AWS and Pulumi refuse to delete a table whose items do not expire.",
    advice:
      "Set deletionProtection: true in the stack's configuration. To tear a stack down, deploy without this pack.",
    check: (resource) => {
      if (!keepsItems(resource)) return undefined;
      if (resource.props.deletionProtectionEnabled !== true) return "deletionProtectionEnabled is not true";
      return resource.isProtected ? undefined : "the resource option protect is not set";
    },
  },
  {
    name: "table-point-in-time-recovery",
    description: "A table whose items do not expire can be restored to any second of the last 35 days.",
    advice: "Set pointInTimeRecovery: { enabled: true } on the table.",
    check: (resource) =>
      keepsItems(resource) && at(resource.props, "pointInTimeRecovery.enabled") !== true
        ? "pointInTimeRecovery is not enabled"
        : undefined,
  },
  {
    name: "user-pool-deletion-protection",
    description: "AWS and Pulumi refuse to delete the user pool.",
    advice:
      "Set deletionProtection: true in the stack's configuration. To tear a stack down, deploy without this pack.",
    check: ({ type, props, isProtected }) => {
      if (type !== "aws:cognito/userPool:UserPool") return undefined;
      if (props.deletionProtection !== "ACTIVE") return "deletionProtection is not ACTIVE";
      return isProtected ? undefined : "the resource option protect is not set";
    },
  },
  {
    name: "image-repository",
    description: "ECR scans every pushed image, and a pushed tag always names the same image.",
    advice: 'Set imageScanningConfiguration: { scanOnPush: true } and imageTagMutability: "IMMUTABLE".',
    check: ({ type, props }) => {
      if (type !== "aws:ecr/repository:Repository") return undefined;
      if (at(props, "imageScanningConfiguration.scanOnPush") !== true) return "images are not scanned";
      return props.imageTagMutability === "IMMUTABLE" ? undefined : "tags are mutable";
    },
  },
  {
    name: "queue-encryption",
    description: "Queues are encrypted.",
    advice: "Set sqsManagedSseEnabled: true on the queue.",
    check: ({ type, props }) =>
      type === "aws:sqs/queue:Queue" && props.sqsManagedSseEnabled !== true && !props.kmsMasterKeyId
        ? "the queue is not encrypted"
        : undefined,
  },
];
