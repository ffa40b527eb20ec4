import * as pulumi from "@pulumi/pulumi";
import { type CountedUse, ephemeralKeys } from "../functions/tables/ephemeralKeys";
import { userIndexes } from "../functions/tables/userIndexes";
import * as aws from "./aws";
import type { Config } from "./config";
import type { Statement } from "./lambda";

/** Arguments of `Data`. */
export interface DataArgs {
  config: Pick<Config, "deletionProtection">;
}

/** The DynamoDB tables. The rows of customers never expire. Counters and locks expire. */
export class Data extends pulumi.ComponentResource {
  readonly users: UsersTable;
  readonly ephemeral: EphemeralTable;

  constructor(name: string, { config }: DataArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Data", name, {}, opts);
    const child = { parent: this };
    const users = new aws.dynamodb.Table(
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
        deletionProtectionEnabled: config.deletionProtection,
      },
      // AWS would refuse to delete the table only after it has deleted the rest of the stack. Pulumi refuses before it
      // deletes anything.
      { ...child, protect: config.deletionProtection },
    );
    const ephemeral = new aws.dynamodb.Table(
      "ephemeral",
      {
        attributes: [{ name: "pk", type: "S" }],
        hashKey: "pk",
        billingMode: "PAY_PER_REQUEST",
        ttl: { attributeName: "ttl", enabled: true },
      },
      child,
    );
    this.users = new UsersTable(users);
    this.ephemeral = new EphemeralTable(ephemeral);
    this.registerOutputs({ usersTable: users.name, ephemeralTable: ephemeral.name });
  }
}

/** One row per customer. The table has no TTL, because a customer's data must never expire. */
class UsersTable {
  readonly name: pulumi.Output<string>;

  constructor(readonly table: aws.dynamodb.Table) {
    this.name = table.name;
  }

  /** Allows reading a row. */
  read(): Statement {
    return allow(this.table.arn, "GetItem");
  }

  /** Allows reading and updating a row. */
  readWrite(): Statement {
    return allow(this.table.arn, "GetItem", "UpdateItem");
  }

  /** Allows finding rows by an index. */
  query(index: UserIndex): Statement {
    return allow(this.indexArn(index), "Query");
  }

  /** Allows scanning an index. */
  scan(index: UserIndex): Statement {
    return allow(this.indexArn(index), "Scan");
  }

  private indexArn(index: UserIndex): pulumi.Output<string> {
    return pulumi.interpolate`${this.table.arn}/index/${userIndexes[index]}`;
  }
}

type UserIndex = keyof typeof userIndexes;

/** Counters, locks and received Stripe events. DynamoDB deletes them by TTL. */
class EphemeralTable {
  readonly name: pulumi.Output<string>;

  constructor(readonly table: aws.dynamodb.Table) {
    this.name = table.name;
  }

  /** Allows reading a customer's use of the relay. */
  readUsage(): Statement {
    return this.allow([`${ephemeralKeys.usage}user#`], "GetItem");
  }

  /** Allows reading and writing the use of the relay, its spend, its providers' cooldowns, and counting its replies. */
  relay(): Statement[] {
    const { usage, spend, cooldown, replies } = ephemeralKeys;
    return [
      this.allow([usage], "GetItem", "PutItem"),
      this.allow([spend], "GetItem", "UpdateItem"),
      this.allow([cooldown], "BatchGetItem", "UpdateItem", "DeleteItem"),
      this.allow([replies], "UpdateItem"),
    ];
  }

  /** Allows reading the state of the models' candidates, and the counts of replies. */
  readCanary(): Statement[] {
    return [this.allow([ephemeralKeys.canary], "GetItem"), this.allow([ephemeralKeys.replies], "BatchGetItem")];
  }

  /** Allows writing the state of the models' candidates. */
  writeCanary(): Statement {
    return this.allow([ephemeralKeys.canary], "PutItem");
  }

  /** Allows claiming the next keep-alive job of an endpoint. */
  keepAlive(): Statement {
    return this.allow([ephemeralKeys.keepAlive], "UpdateItem");
  }

  /** Allows incrementing the counters of some uses. */
  count(...uses: CountedUse[]): Statement {
    return this.allow(
      uses.map((use) => `${ephemeralKeys.rate}${use}#`),
      "UpdateItem",
    );
  }

  /** Allows reading and writing a customer's checkout attempt. */
  claimCheckout(): Statement {
    return this.allow([ephemeralKeys.checkout], "GetItem", "UpdateItem");
  }

  /** Allows recording received Stripe events. */
  recordEvents(): Statement {
    return this.allow([ephemeralKeys.event], "UpdateItem");
  }

  /** Allows reading the recorded Stripe events. */
  readEvents(): Statement {
    return this.allow([ephemeralKeys.event], "BatchGetItem");
  }

  /** Allows reading and recording Stripe events. */
  readAndRecordEvents(): Statement {
    return this.allow([ephemeralKeys.event], "BatchGetItem", "UpdateItem");
  }

  /** Allows actions on the items whose keys have one of the given prefixes. */
  private allow(keys: string[], ...actions: string[]): Statement {
    const leadingKeys = keys.map((key) => `${key}*`);
    return {
      ...allow(this.table.arn, ...actions),
      Condition: { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": leadingKeys } },
    };
  }
}

function allow(resource: pulumi.Output<string>, ...actions: string[]): Statement {
  return { Action: actions.map((action) => `dynamodb:${action}`), Resource: [resource] };
}
