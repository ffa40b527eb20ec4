import * as pulumi from "@pulumi/pulumi";
import { forwardTo } from "./forward";

/** What a webhook endpoint is made of. */
export interface WebhookEndpointArgs {
  /** Where Stripe sends events: https, or http on this machine. Changed in place. */
  url: pulumi.Input<string>;
  /** The types of event to send, as a set; no wildcard. Changed in place. */
  enabledEvents: pulumi.Input<pulumi.Input<string>[]>;
  /** What Stripe's dashboard shows beside the URL. Changed in place. */
  description: pulumi.Input<string>;
  /**
   * A whole number, at least 1. Another number is another endpoint with another secret: Stripe tells a secret only when an
   * endpoint is made, and has no call to change it. The new endpoint is there before the old one goes.
   */
  secretGeneration: pulumi.Input<number>;
  /**
   * The version that events are written in. Default: the one stripe-node is made for, so that an upgrade of the package
   * moves both. Stripe fixes it when an endpoint is made, so another version is another endpoint.
   */
  apiVersion?: pulumi.Input<string>;
}

/**
 * An endpoint that Stripe sends events to. `id` is Stripe's, `we_…`. To change the secret raise `secretGeneration`.
 *
 * One for each stack: another of the same generation and version would be taken for what a broken-off `up` has left.
 *
 * Needs the stack config `stripeWebhookKey` (secret).
 */
export class WebhookEndpoint extends pulumi.dynamic.Resource {
  /** `<project>/<stack>`: who made it. */
  declare readonly owner: pulumi.Output<string>;
  /** Where Stripe sends events. */
  declare readonly url: pulumi.Output<string>;
  /** What Stripe signs the events with, `whsec_…`; a secret. */
  declare readonly secret: pulumi.Output<string>;
  /** `enabled`, or after a refresh `disabled` where Stripe or somebody has turned it off; the next `up` turns it on. */
  declare readonly status: pulumi.Output<string>;

  constructor(name: string, args: WebhookEndpointArgs, opts?: pulumi.CustomResourceOptions) {
    const owner = `${pulumi.getProject()}/${pulumi.getStack()}`;
    const props = { secret: undefined, status: undefined, owner, ...args };
    const options = pulumi.mergeOptions(opts, { additionalSecretOutputs: ["secret"] });
    super(forwardTo("webhookEndpoint"), name, props, options, "stripe", "WebhookEndpoint");
  }
}
