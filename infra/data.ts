import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Config } from "./config";

/** What the product remembers: customers for ever, counters and locks for a while. */
export class Data extends pulumi.ComponentResource {
  /** One row per customer. No TTL: it deletes rows late and would lose the customer's facts. */
  readonly users: aws.dynamodb.Table;
  /** Throw-away items, removed by TTL. */
  readonly ephemeral: aws.dynamodb.Table;

  constructor(name: string, args: Pick<Config, "deletionProtection">, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Data", name, {}, opts);
    const child = { parent: this };
    this.users = new aws.dynamodb.Table(
      "users",
      {
        attributes: [{ name: "user_id", type: "S" }],
        hashKey: "user_id",
        billingMode: "PAY_PER_REQUEST",
        pointInTimeRecovery: { enabled: true },
        serverSideEncryption: { enabled: true },
        deletionProtectionEnabled: args.deletionProtection,
      },
      child,
    );
    this.ephemeral = new aws.dynamodb.Table(
      "ephemeral",
      {
        attributes: [{ name: "pk", type: "S" }],
        hashKey: "pk",
        billingMode: "PAY_PER_REQUEST",
        ttl: { attributeName: "ttl", enabled: true },
      },
      child,
    );
    this.registerOutputs();
  }
}
