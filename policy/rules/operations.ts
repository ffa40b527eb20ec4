import { at, type Problem, type Rule, type StackResource, texts } from "../rule";

const FUNCTION = "aws:lambda/function:Function";
const ALARMS = ["aws:cloudwatch/metricAlarm:MetricAlarm", "aws:cloudwatch/compositeAlarm:CompositeAlarm"];

/** Longest time limit of a function, in seconds. A chat whose worker has to start needs the longest. */
const LONGEST_TIMEOUT_SECONDS = 300;
const LONGEST_RETENTION_DAYS = 90;

function untagged(resources: StackResource[]): Problem[] {
  return resources.flatMap((resource) => {
    const tags = knownTags(resource);
    const missing = ["project", "stack"].filter((tag) => tags && !at(tags, tag));
    return missing.length > 0 ? [{ resource, problem: `it has no tag ${missing.join(" and ")}` }] : [];
  });
}

/** All tags of a resource, those of the provider included. Undefined without tags, or when a preview does not know them. */
function knownTags({ props }: StackResource): unknown {
  try {
    return props.tagsAll;
  } catch {
    return undefined;
  }
}

function limitProblem({ type, props }: StackResource): string | undefined {
  if (type !== FUNCTION) return undefined;
  const timeout = Number(props.timeout ?? 0);
  if (timeout < 1) return "it has no timeout";
  if (timeout > LONGEST_TIMEOUT_SECONDS) return `its timeout is ${timeout} s`;
  // An operator may reserve nothing with -1, in accounts with a low quota.
  const isUnlimited = /-relay$/.test(String(props.name)) && props.reservedConcurrentExecutions === undefined;
  return isUnlimited ? "everybody may call it, but its concurrency has no limit" : undefined;
}

function alarmProblem({ type, props }: StackResource): string | undefined {
  if (!ALARMS.includes(type)) return undefined;
  const description = String(props.alarmDescription ?? "");
  if (!/Runbook: docs\/operations\.md#[\w-]+/.test(description)) return "its description names no runbook entry";
  if (type === ALARMS[0] && !props.treatMissingData) return "it does not say what missing data means";
  return undefined;
}

/** Alarms that send no message, except those that are only part of a composite alarm. */
function silentAlarms(resources: StackResource[]): Problem[] {
  const alarms = resources.filter(({ type }) => ALARMS.includes(type));
  const rules = alarms.map(({ props }) => String(props.alarmRule ?? "")).join("\n");
  return alarms.flatMap((resource) => {
    const { name, alarmName, alarmActions } = resource.props;
    const isPart = rules.includes(`"${alarmName ?? name}"`);
    return texts(alarmActions).length > 0 || isPart ? [] : [{ resource, problem: "it sends no message" }];
  });
}

/** Rules about what an operator needs to run the system. */
export const operationsRules: Rule[] = [
  {
    name: "log-retention",
    description: "Logs expire.",
    advice: "Set retentionInDays on the log group.",
    check: ({ type, props }) => {
      if (type !== "aws:cloudwatch/logGroup:LogGroup") return undefined;
      const days = Number(props.retentionInDays ?? 0);
      return days > 0 && days <= LONGEST_RETENTION_DAYS ? undefined : "its logs do not expire within 90 days";
    },
  },
  {
    name: "function-runtime",
    description:
      "Functions run on the Node version of this repository, and write JSON logs into a group of the program.",
    advice: "Create functions with the class Lambda of infra/lambda.ts.",
    check: ({ type, props }) => {
      if (type !== FUNCTION) return undefined;
      if (props.runtime !== "nodejs24.x") return `its runtime is ${props.runtime}`;
      if (at(props, "loggingConfig.logFormat") !== "JSON") return "it does not write JSON logs";
      // A preview does not know the name of a new log group, so this rule does not read the name.
      const hasGroup = Object.keys(at(props, "loggingConfig") ?? {}).includes("logGroup");
      return hasGroup ? undefined : "it writes into a log group that Lambda creates, whose logs never expire";
    },
  },
  {
    name: "function-limits",
    description: "Every function has a timeout of at most five minutes, and the public one a limit of its concurrency.",
    advice: "Set timeoutSeconds and reservedConcurrency where the function is created.",
    check: limitProblem,
  },
  {
    name: "tags",
    description: "Resources have the tags project and stack, which name their owner on the bill.",
    advice: "Set aws:defaultTags in the stack's configuration, as in Pulumi.dev.yaml.",
    checkStack: untagged,
  },
  {
    name: "alarm-descriptions",
    description: "Every alarm names its runbook entry and says what missing data means.",
    advice: "Add the alarm to the table in infra/alarms.ts.",
    check: alarmProblem,
  },
  {
    name: "alarm-actions",
    description: "Every alarm sends a message, or is part of a composite alarm that does.",
    advice: "Add the alarm to the table in infra/alarms.ts.",
    checkStack: silentAlarms,
  },
  {
    name: "encrypted-subscriptions",
    description: "Messages of alarms go to webhooks only over https.",
    advice: "Set alarmWebhookUrl to an https URL.",
    check: ({ type, props }) =>
      type === "aws:sns/topicSubscription:TopicSubscription" && props.protocol === "http"
        ? "its protocol is http"
        : undefined,
  },
];
