import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Lambda } from "./lambda";

/** Invokes a function from time to time, with EventBridge Scheduler. */
export class Schedule extends pulumi.ComponentResource {
  constructor(
    name: string,
    /** `every`: as in a rate expression, `15 minutes`. */
    args: { lambda: Lambda<object>; every: string },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("snack:infra:Schedule", name, {}, opts);
    const child = { parent: this };
    const { arn } = args.lambda.function;
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
        scheduleExpression: `rate(${args.every})`,
        flexibleTimeWindow: { mode: "OFF" },
        // What one run leaves undone the next one does.
        target: { arn, roleArn: role.arn, retryPolicy: { maximumRetryAttempts: 0 } },
      },
      { ...child, dependsOn: policy },
    );
    this.registerOutputs();
  }
}
