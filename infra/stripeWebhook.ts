import * as pulumi from "@pulumi/pulumi";
import { stackNames } from "../names";
import { webhookEvents } from "../stripe/events";
import { WebhookEndpoint } from "../stripe/webhookEndpoint";
import { WebhookSecrets } from "../stripe/webhookSecrets";
import * as aws from "./aws";
import type { Config } from "./config";
import { createSecret } from "./secrets";

/**
 * Name and ARN of the parameter with the webhook's secrets. Both are computed from the stack's name, because the
 * functions need them before the parameter exists. The parameter's value comes from the webhook endpoint, the endpoint
 * needs the API's URL, and the API needs the functions.
 */
export function webhookSecretParameter(
  stack: string,
  opts: pulumi.InvokeOptions,
): { name: string; arn: pulumi.Output<string> } {
  const name = stackNames(stack).parameters.stripeWebhookSecret;
  const { region } = aws.getRegionOutput({}, opts);
  const { accountId } = aws.getCallerIdentityOutput({}, opts);
  const { partition } = aws.getPartitionOutput({}, opts);
  return { name, arn: pulumi.interpolate`arn:${partition}:ssm:${region}:${accountId}:parameter${name}` };
}

/** Arguments of `StripeWebhook`. */
export interface StripeWebhookArgs {
  config: Pick<Config, "stack" | "stripe" | "billing">;
  /** Base URL of the API that has the webhook's route. */
  apiUrl: pulumi.Output<string>;
}

/**
 * The webhook endpoint at Stripe, and its signing secrets in Parameter Store. Without `stripeWebhookKey`, the program
 * stores `stripeWebhookSecret` of the configuration. Without both, the webhook function rejects every event.
 */
export class StripeWebhook extends pulumi.ComponentResource {
  /** URL to which Stripe sends events. */
  readonly url: pulumi.Output<string>;

  constructor(name: string, { config, apiUrl }: StripeWebhookArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:StripeWebhook", name, {}, opts);
    const child = { parent: this };
    this.url = pulumi.interpolate`${apiUrl}/webhook/stripe`;

    const value = config.stripe.registersWebhook ? this.register(name, config, child) : configuredSecret(config);
    if (value) {
      const parameter = stackNames(config.stack).parameters.stripeWebhookSecret;
      createSecret("stripe-webhook-secret", { name: parameter, value }, child);
    }
    this.registerOutputs({ url: this.url });
  }

  /**
   * Registers the endpoint at Stripe. A new secret generation creates a new endpoint, stores the secrets of both
   * endpoints, and then deletes the old endpoint.
   */
  private register(
    name: string,
    config: StripeWebhookArgs["config"],
    child: pulumi.CustomResourceOptions,
  ): pulumi.Output<string> {
    const endpoint = new WebhookEndpoint(
      name,
      {
        url: this.url,
        enabledEvents: [...webhookEvents],
        description: stackNames(config.stack).owner,
        secretGeneration: config.billing.webhookSecretGeneration,
      },
      child,
    );
    const { current, previous } = new WebhookSecrets(name, { secret: endpoint.secret }, child);
    return pulumi.secret(pulumi.jsonStringify({ current, previous }));
  }
}

/** Value of the SSM parameter if the operator registered the endpoint in Stripe's dashboard. */
function configuredSecret({ stripe }: Pick<Config, "stripe">): pulumi.Output<string> | undefined {
  return stripe.webhookSecret && pulumi.secret(pulumi.jsonStringify({ current: stripe.webhookSecret }));
}
