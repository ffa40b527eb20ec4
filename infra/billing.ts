import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Settings as AdminSettings } from "../functions/admin";
import type { Settings as CheckoutSettings } from "../functions/checkout";
import type { Settings as PlanSettings } from "../functions/plan";
import type { Settings as PortalSettings } from "../functions/portal";
import type { Settings as ReconcilerSettings } from "../functions/reconciler";
import type { Settings as SyncSettings } from "../functions/sync";
import { userIndexes } from "../functions/tables/userIndexes";
import type { Settings as WebhookSettings } from "../functions/webhook";
import type { Config } from "./config";
import type { Data } from "./data";
import type { Identity } from "./identity";
import { Lambda, type Statement } from "./lambda";
import { billingPolicy } from "./policy";
import { Schedule } from "./schedule";
import { stripeOwner, webhookSecretParameter } from "./stripeWebhook";

/** What knows who has which plan, and lets them buy one. */
export class Billing extends pulumi.ComponentResource {
  readonly plan: Lambda<PlanSettings>;
  readonly checkout: Lambda<CheckoutSettings>;
  readonly portal: Lambda<PortalSettings>;
  readonly sync: Lambda<SyncSettings>;
  readonly webhook: Lambda<WebhookSettings>;
  /** Runs every fifteen minutes and heals what no event did. */
  readonly reconciler: Lambda<ReconcilerSettings>;
  /** What operators invoke by `npm run admin`; it has no route. */
  readonly admin: Lambda<AdminSettings>;

  constructor(
    name: string,
    args: { config: Config; identity: Identity; data: Data },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("snack:infra:Billing", name, {}, opts);
    const child = { parent: this };
    const { config, identity, data } = args;
    const { stack } = config;
    const { users, ephemeral } = data;

    const stripeKey =
      config.stripe.apiKey &&
      new aws.ssm.Parameter(
        "stripe-api-key",
        { name: `/snack-misaki/${stack}/stripe-api-key`, type: "SecureString", value: config.stripe.apiKey },
        child,
      );
    const caller = { userPoolId: identity.userPoolId, clientId: identity.clientId };
    const policy = billingPolicy(config);
    const shared = {
      stripeApiUrl: config.stripeApiUrl,
      ...(stripeKey && { stripeKeyParameter: stripeKey.name }),
      stripeOwner: stripeOwner(stack),
      usersTable: users.name,
      ephemeralTable: ephemeral.name,
      policy,
    };
    const { returnUrls, portalConfiguration } = config.billing;

    const onUsers = (...Action: string[]): Statement => ({ Action, Resource: [users.arn] });
    const onEphemeral = (...Action: string[]): Statement => ({ Action, Resource: [ephemeral.arn] });
    const queryUsers = (index: string): Statement => ({
      Action: ["dynamodb:Query"],
      Resource: [pulumi.interpolate`${users.arn}/index/${index}`],
    });
    // Decryption with the account's own aws/ssm key comes with the parameter; it needs no statement of its own.
    const readSecrets = (...arns: pulumi.Input<string>[]): Statement[] =>
      arns.length > 0 ? [{ Action: ["ssm:GetParameters"], Resource: arns }] : [];
    const readStripeKey = readSecrets(...(stripeKey ? [stripeKey.arn] : []));
    const syncRow = onUsers("dynamodb:GetItem", "dynamodb:UpdateItem");
    const count = onEphemeral("dynamodb:UpdateItem");

    this.plan = new Lambda(
      "plan",
      {
        bundle: "plan",
        settings: { ...caller, usersTable: users.name, policy },
        statements: [onUsers("dynamodb:GetItem")],
      },
      child,
    );
    this.checkout = new Lambda(
      "checkout",
      {
        bundle: "checkout",
        settings: pulumi.output({ ...shared, ...caller, returnUrls }),
        statements: [syncRow, onEphemeral("dynamodb:GetItem", "dynamodb:UpdateItem"), ...readStripeKey],
        timeoutSeconds: 29,
      },
      child,
    );
    this.portal = new Lambda(
      "portal",
      {
        bundle: "portal",
        settings: pulumi.output({
          ...shared,
          ...caller,
          returnUrls,
          ...(portalConfiguration && { portalConfiguration }),
        }),
        statements: [onUsers("dynamodb:GetItem"), count, ...readStripeKey],
        timeoutSeconds: 20,
      },
      child,
    );
    this.sync = new Lambda(
      "sync",
      {
        bundle: "sync",
        settings: pulumi.output({ ...shared, ...caller }),
        statements: [syncRow, count, ...readStripeKey],
        timeoutSeconds: 29,
      },
      child,
    );
    const webhookSecret = webhookSecretParameter(stack, child);
    this.webhook = new Lambda(
      "webhook",
      {
        bundle: "webhook",
        settings: pulumi.output({ ...shared, webhookSecretParameter: webhookSecret.name }),
        statements: [
          syncRow,
          queryUsers(userIndexes.stripeCustomer),
          onEphemeral("dynamodb:UpdateItem"),
          ...readStripeKey,
          ...readSecrets(webhookSecret.arn),
        ],
        timeoutSeconds: 29,
      },
      child,
    );
    this.reconciler = new Lambda(
      "reconciler",
      {
        bundle: "reconciler",
        settings: pulumi.output(shared),
        statements: [
          syncRow,
          queryUsers(userIndexes.stripeCustomer),
          queryUsers(userIndexes.review),
          onEphemeral("dynamodb:BatchGetItem", "dynamodb:UpdateItem"),
          ...readStripeKey,
        ],
        timeoutSeconds: 300,
      },
      child,
    );
    new Schedule("reconciler", { lambda: this.reconciler, every: "15 minutes" }, child);
    this.admin = new Lambda(
      "admin",
      {
        bundle: "admin",
        // Operators and `npm run admin` find it by its name.
        functionName: `snack-misaki-${stack}-admin`,
        settings: pulumi.output(shared),
        statements: [
          syncRow,
          queryUsers(userIndexes.stripeCustomer),
          {
            Action: ["dynamodb:Scan"],
            Resource: [pulumi.interpolate`${users.arn}/index/${userIndexes.stripeCustomer}`],
          },
          onEphemeral("dynamodb:BatchGetItem"),
          ...readStripeKey,
        ],
        timeoutSeconds: 30,
      },
      child,
    );
    this.registerOutputs();
  }
}
