import * as pulumi from "@pulumi/pulumi";
import * as aws from "./aws";
import type { Lambda } from "./lambda";

/** Arguments of `Schedule`. */
export interface ScheduleArgs {
  lambda: Lambda<object>;
  /** Interval of a rate expression, such as `15 minutes`. */
  every: string;
  /**
   * Queue for runs that have failed in every retry. The function needs `sqs:SendMessage` on it. Without a queue, a
   * failed run is not retried, because the next run does the same work.
   */
  failedRuns?: aws.sqs.Queue;
}

/**
 * Retries of a run with a queue. The scheduler retries while Lambda does not accept the run. Lambda retries a failed
 * run.
 */
const SCHEDULER_RETRIES = { maximumRetryAttempts: 10, maximumEventAgeInSeconds: 3_600 };
const LAMBDA_RETRIES = { maximumRetryAttempts: 2, maximumEventAgeInSeconds: 3_600 };

/** Schedule of EventBridge Scheduler that invokes a function at an interval. */
export class Schedule extends pulumi.ComponentResource {
  constructor(name: string, { lambda, every, failedRuns }: ScheduleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Schedule", name, {}, opts);
    const child = { parent: this };
    const { arn, name: functionName } = lambda.function;
    const { role, policy } = createRole(`${name}-schedule`, arn, failedRuns, child);
    new aws.lambda.FunctionEventInvokeConfig(
      name,
      {
        functionName,
        ...(failedRuns
          ? { ...LAMBDA_RETRIES, destinationConfig: { onFailure: { destination: failedRuns.arn } } }
          : { maximumRetryAttempts: 0 }),
      },
      child,
    );
    new aws.scheduler.Schedule(
      name,
      {
        scheduleExpression: `rate(${every})`,
        flexibleTimeWindow: { mode: "OFF" },
        target: {
          arn,
          roleArn: role.arn,
          ...(failedRuns
            ? { retryPolicy: SCHEDULER_RETRIES, deadLetterConfig: { arn: failedRuns.arn } }
            : { retryPolicy: { maximumRetryAttempts: 0 } }),
        },
      },
      { ...child, dependsOn: policy },
    );
    this.registerOutputs({});
  }
}

/** Role with which the scheduler of this account invokes the function and writes to the queue. */
function createRole(
  name: string,
  functionArn: pulumi.Output<string>,
  failedRuns: aws.sqs.Queue | undefined,
  child: pulumi.CustomResourceOptions,
): { role: aws.iam.Role; policy: aws.iam.RolePolicy } {
  const { accountId } = aws.getCallerIdentityOutput({}, child);
  const assumeRolePolicy = pulumi.jsonStringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Action: "sts:AssumeRole",
        Principal: { Service: "scheduler.amazonaws.com" },
        // Without this condition, a schedule of another account could use the role.
        Condition: { StringEquals: { "aws:SourceAccount": accountId } },
      },
    ],
  });
  const role = new aws.iam.Role(name, { assumeRolePolicy }, child);
  const statements = [
    { Effect: "Allow", Action: ["lambda:InvokeFunction"], Resource: [functionArn] },
    ...(failedRuns ? [{ Effect: "Allow", Action: ["sqs:SendMessage"], Resource: [failedRuns.arn] }] : []),
  ];
  const policy = new aws.iam.RolePolicy(
    name,
    { role: role.id, policy: pulumi.jsonStringify({ Version: "2012-10-17", Statement: statements }) },
    child,
  );
  return { role, policy };
}
