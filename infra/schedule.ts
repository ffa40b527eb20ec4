import * as pulumi from "@pulumi/pulumi";
import * as aws from "./aws";
import type { Lambda } from "./lambda";

/** Arguments of `Schedule`. */
export interface ScheduleArgs {
  lambda: Lambda<object>;
  /** Interval of a rate expression, such as `15 minutes`. */
  every: string;
}

/** Schedule of EventBridge Scheduler that invokes a function at an interval. */
export class Schedule extends pulumi.ComponentResource {
  constructor(name: string, { lambda, every }: ScheduleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Schedule", name, {}, opts);
    const child = { parent: this };
    const { arn } = lambda.function;
    const role = new aws.iam.Role(
      `${name}-schedule`,
      {
        assumeRolePolicy: JSON.stringify(aws.iam.assumeRolePolicyForPrincipal({ Service: "scheduler.amazonaws.com" })),
      },
      child,
    );
    const policy = new aws.iam.RolePolicy(
      `${name}-schedule`,
      {
        role: role.id,
        policy: pulumi.jsonStringify({
          Version: "2012-10-17",
          Statement: [{ Effect: "Allow", Action: ["lambda:InvokeFunction"], Resource: [arn] }],
        }),
      },
      child,
    );
    new aws.scheduler.Schedule(
      name,
      {
        scheduleExpression: `rate(${every})`,
        flexibleTimeWindow: { mode: "OFF" },
        // No retry, because the next run does the work of a failed one.
        target: { arn, roleArn: role.arn, retryPolicy: { maximumRetryAttempts: 0 } },
      },
      { ...child, dependsOn: policy },
    );
    this.registerOutputs({});
  }
}
