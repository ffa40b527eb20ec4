import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { userIndexes } from "../functions/tables/userIndexes";
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
        attributes: ["user_id", "stripe_customer_id", "review_queue", "needs_review_at"].map((key) => ({
          name: key,
          type: "S",
        })),
        hashKey: "user_id",
        globalSecondaryIndexes: [
          {
            name: userIndexes.stripeCustomer,
            keySchemas: [{ attributeName: "stripe_customer_id", keyType: "HASH" }],
            projectionType: "KEYS_ONLY",
          },
          {
            name: userIndexes.review,
            keySchemas: [
              { attributeName: "review_queue", keyType: "HASH" },
              { attributeName: "needs_review_at", keyType: "RANGE" },
            ],
            projectionType: "KEYS_ONLY",
          },
        ],
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
