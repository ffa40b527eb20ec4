import * as pulumi from "@pulumi/pulumi";
import { forwardTo } from "./forward";

/** Inputs of a webhook endpoint. */
export interface WebhookEndpointArgs {
  /** URL for the events: https, or http on localhost. A change updates the endpoint in place. */
  url: pulumi.Input<string>;
  /** Set of event types to send, without wildcards. A change updates the endpoint in place. */
  enabledEvents: pulumi.Input<pulumi.Input<string>[]>;
  /** Text beside the URL in Stripe's dashboard. A change updates the endpoint in place. */
  description: pulumi.Input<string>;
  /**
   * A whole number, at least 1. Raise the number to get a new secret. Stripe returns a secret only when an endpoint is
   * created, so a new number replaces the endpoint. The new endpoint is created before the old one is deleted.
   */
  secretGeneration: pulumi.Input<number>;
  /**
   * API version of the events. Default: the version that stripe-node uses, so that an upgrade of the package also
   * changes the version of the events. Stripe cannot change the version of an existing endpoint, so a new version
   * replaces the endpoint.
   */
  apiVersion?: pulumi.Input<string>;
}

/**
 * An endpoint that Stripe sends events to. `id` is Stripe's endpoint id, `we_…`. To change the secret, raise
 * `secretGeneration`.
 *
 * A stack may have only one webhook endpoint. When an endpoint is created, the stack's other endpoints with the same
 * generation and version are deleted, because they look like leftovers of an interrupted `up`.
 *
 * Needs the stack config `stripeWebhookKey` (secret).
 */
export class WebhookEndpoint extends pulumi.dynamic.Resource {
  /** Stack that owns the endpoint, `<project>/<stack>`. */
  declare readonly owner: pulumi.Output<string>;
  /** URL for the events. */
  declare readonly url: pulumi.Output<string>;
  /** Signing secret of the events, `whsec_…`. A secret output. */
  declare readonly secret: pulumi.Output<string>;
  /**
   * `enabled`, or `disabled` when a refresh found that Stripe or a person has disabled the endpoint. The next `up`
   * enables the endpoint.
   */
  declare readonly status: pulumi.Output<string>;

  constructor(name: string, args: WebhookEndpointArgs, opts?: pulumi.CustomResourceOptions) {
    const owner = `${pulumi.getProject()}/${pulumi.getStack()}`;
    const props = { secret: undefined, status: undefined, owner, ...args };
    const options = pulumi.mergeOptions(opts, { additionalSecretOutputs: ["secret"] });
    super(forwardTo("webhookEndpoint"), name, props, options, "stripe", "WebhookEndpoint");
  }
}
