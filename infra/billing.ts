import * as pulumi from "@pulumi/pulumi";
import type { Settings as AdminSettings } from "../functions/admin";
import type { Settings as CheckoutSettings } from "../functions/checkout";
import type { Settings as PlanSettings } from "../functions/plan";
import type { Settings as PortalSettings } from "../functions/portal";
import type { Settings as ReconcilerSettings } from "../functions/reconciler";
import type { Settings as SyncSettings } from "../functions/sync";
import type { Settings as WebhookSettings } from "../functions/webhook";
import { stackNames } from "../names";
import type { FunctionName } from "./bundle";
import { candidateSettings, readCandidates, writeCandidates } from "./candidate";
import type { Config } from "./config";
import type { Data } from "./data";
import type { Identity } from "./identity";
import { Lambda, type LambdaArgs } from "./lambda";
import { Schedule } from "./schedule";
import { createSecret, readSecrets } from "./secrets";
import { webhookSecretParameter } from "./stripeWebhook";

/** Arguments of `Billing`. */
export interface BillingArgs {
  config: Pick<Config, "stack" | "stripe" | "stripeApiUrl" | "billing" | "planPolicy" | "relay">;
  identity: Identity;
  data: Data;
}

/** The functions that compute a customer's plan, sell plans and process Stripe's events. */
export class Billing extends pulumi.ComponentResource {
  readonly plan: Lambda<PlanSettings>;
  readonly checkout: Lambda<CheckoutSettings>;
  readonly portal: Lambda<PortalSettings>;
  readonly sync: Lambda<SyncSettings>;
  readonly webhook: Lambda<WebhookSettings>;
  /** Runs every 15 minutes. Repairs customers' rows that were not updated because a Stripe event was lost. */
  readonly reconciler: Lambda<ReconcilerSettings>;
  /** The admin function has no route: operators invoke it with `npm run admin`. */
  readonly admin: Lambda<AdminSettings>;

  constructor(name: string, args: BillingArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Billing", name, {}, opts);
    const child = { parent: this };
    const { users, ephemeral } = args.data;
    const { readStripeKey, shared, caller, pages } = this.settings(args, child);
    const webhookSecret = webhookSecretParameter(args.config.stack, child);
    const lambda = <Settings extends object>(bundle: FunctionName, more: Omit<LambdaArgs<Settings>, "bundle">) =>
      new Lambda<Settings>(bundle, { bundle, ...more }, child);

    this.plan = lambda("plan", {
      settings: pulumi.output({
        ...caller,
        usersTable: users.name,
        policy: args.config.planPolicy,
        ephemeralTable: ephemeral.name,
        limits: args.config.relay.limits,
      }),
      statements: [users.read(), ephemeral.readUsage()],
    });
    this.checkout = lambda("checkout", {
      settings: pulumi.output({ ...shared, ...caller, returnUrls: pages.returnUrls }),
      statements: [
        users.readWrite(),
        users.query("stripeCustomer"),
        ephemeral.claimCheckout(),
        ephemeral.count("checkout"),
        ...readStripeKey,
      ],
      timeoutSeconds: 29,
    });
    this.portal = lambda("portal", {
      settings: pulumi.output({ ...shared, ...caller, ...pages }),
      statements: [users.read(), ephemeral.count("portal"), ...readStripeKey],
      timeoutSeconds: 20,
    });
    this.sync = lambda("sync", {
      settings: pulumi.output({ ...shared, ...caller }),
      statements: [users.readWrite(), users.query("stripeCustomer"), ephemeral.count("sync"), ...readStripeKey],
      timeoutSeconds: 29,
    });
    this.webhook = lambda("webhook", {
      settings: pulumi.output({ ...shared, webhookSecretParameter: webhookSecret.name }),
      statements: [
        users.readWrite(),
        users.query("stripeCustomer"),
        ephemeral.recordEvents(),
        ephemeral.count("webhook-event", "webhook-customer"),
        ...readStripeKey,
        ...readSecrets(webhookSecret),
      ],
      timeoutSeconds: 29,
    });
    this.reconciler = lambda("reconciler", {
      settings: pulumi.output(shared),
      statements: [
        users.readWrite(),
        users.query("stripeCustomer"),
        users.query("review"),
        ephemeral.readAndRecordEvents(),
        ...readStripeKey,
      ],
      timeoutSeconds: 300,
    });
    new Schedule("reconciler", { lambda: this.reconciler, every: "15 minutes" }, child);
    this.admin = lambda("admin", {
      functionName: stackNames(args.config.stack).functions.admin,
      settings: pulumi.output({
        ...shared,
        ...candidateSettings(args.config.stack),
        userPoolId: args.identity.userPoolId,
      }),
      statements: [
        users.readWrite(),
        args.identity.listUsers(),
        users.query("stripeCustomer"),
        users.scan("stripeCustomer"),
        ephemeral.readEvents(),
        ...ephemeral.readCanary(),
        readCandidates(args.config.stack, webhookSecret),
        writeCandidates(args.config.stack, webhookSecret),
        ...readStripeKey,
      ],
      timeoutSeconds: 30,
    });
    this.registerOutputs({ admin: this.admin.function.name });
  }

  /** Creates the secret with Stripe's key, and returns the settings that several functions share. */
  private settings({ config, identity, data }: BillingArgs, child: pulumi.CustomResourceOptions) {
    const names = stackNames(config.stack);
    const { apiKey } = config.stripe;
    const stripeKey =
      apiKey && createSecret("stripe-api-key", { name: names.parameters.stripeApiKey, value: apiKey }, child);
    const { returnUrls, portalConfiguration } = config.billing;
    return {
      readStripeKey: readSecrets(stripeKey),
      shared: {
        stripeApiUrl: config.stripeApiUrl,
        ...(stripeKey && { stripeKeyParameter: stripeKey.name }),
        stripeOwner: names.owner,
        usersTable: data.users.name,
        ephemeralTable: data.ephemeral.name,
        policy: config.planPolicy,
      },
      caller: { userPoolId: identity.userPoolId, clientId: identity.clientId },
      pages: { returnUrls, ...(portalConfiguration && { portalConfiguration }) },
    };
  }
}
