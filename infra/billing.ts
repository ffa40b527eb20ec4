import * as pulumi from "@pulumi/pulumi";
import type { Settings as PlanSettings } from "../functions/plan";
import type { Data } from "./data";
import type { Identity } from "./identity";
import { Lambda } from "./lambda";

/** What knows who has which plan. */
export class Billing extends pulumi.ComponentResource {
  readonly plan: Lambda<PlanSettings>;

  constructor(name: string, args: { identity: Identity; data: Data }, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Billing", name, {}, opts);
    const { identity, data } = args;
    this.plan = new Lambda(
      "plan",
      {
        bundle: "plan",
        settings: { userPoolId: identity.userPoolId, clientId: identity.clientId, usersTable: data.users.name },
        statements: [{ Action: ["dynamodb:GetItem"], Resource: [data.users.arn] }],
      },
      { parent: this },
    );
    this.registerOutputs();
  }
}
