import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { webhookEvents } from "../stripe/events";
import { WebhookEndpoint } from "../stripe/webhookEndpoint";
import { WebhookSecrets } from "../stripe/webhookSecrets";
import type { Config } from "./config";

/** Whose a customer, a subscription or an endpoint is, in Stripe's metadata: one account may serve several stacks. */
export function stripeOwner(stack: string): string {
  return `snack-misaki/${stack}`;
}

/**
 * Where the webhook's secrets are found. By name, because the parameter is made last: its value comes from the endpoint,
 * which needs the API's URL, which needs the functions.
 */
export function webhookSecretParameter(
  stack: string,
  opts: pulumi.InvokeOptions,
): { name: string; arn: pulumi.Output<string> } {
  const name = `/snack-misaki/${stack}/stripe-webhook-secret`;
  const { region } = aws.getRegionOutput({}, opts);
  const { accountId } = aws.getCallerIdentityOutput({}, opts);
  const { partition } = aws.getPartitionOutput({}, opts);
  return { name, arn: pulumi.interpolate`arn:${partition}:ssm:${region}:${accountId}:parameter${name}` };
}

/**
 * The endpoint that Stripe sends events to, and its secrets in Parameter Store. Without a key to register it with, its
 * secret is what the operator has configured, or there is none and no event is believed.
 */
export class StripeWebhook extends pulumi.ComponentResource {
  /** To be registered by hand where there is no key for that. */
  readonly url: pulumi.Output<string>;

  constructor(
    name: string,
    args: { config: Config; apiUrl: pulumi.Output<string> },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("snack:infra:StripeWebhook", name, {}, opts);
    const child = { parent: this };
    const { config } = args;
    this.url = pulumi.interpolate`${args.apiUrl}/webhook/stripe`;

    const secrets = config.stripe.registersWebhook ? this.register(name, config, child) : byHand(config);
    if (secrets) {
      new aws.ssm.Parameter(
        "stripe-webhook-secret",
        { name: webhookSecretParameter(config.stack, child).name, type: "SecureString", value: secrets },
        child,
      );
    }
    this.registerOutputs();
  }

  /** A new generation: the new endpoint first, then both secrets, then the old endpoint goes. */
  private register(name: string, config: Config, child: pulumi.CustomResourceOptions): pulumi.Output<string> {
    const endpoint = new WebhookEndpoint(
      name,
      {
        url: this.url,
        enabledEvents: [...webhookEvents],
        description: stripeOwner(config.stack),
        secretGeneration: config.billing.webhookSecretGeneration,
      },
      child,
    );
    const { current, previous } = new WebhookSecrets(name, { secret: endpoint.secret }, child);
    return pulumi.secret(pulumi.jsonStringify({ current, previous }));
  }
}

function byHand({ stripe }: Config): pulumi.Output<string> | undefined {
  return stripe.webhookSecret && pulumi.secret(pulumi.jsonStringify({ current: stripe.webhookSecret }));
}
