import * as pulumi from "@pulumi/pulumi";
import { forwardTo } from "./forward";

/**
 * The current and the previous signing secret. While a new endpoint replaces the old endpoint, both endpoints send
 * events. Each endpoint signs its events with a different secret. The previous secret stays valid until the next
 * change, so two changes are necessary to revoke a leaked secret.
 */
export class WebhookSecrets extends pulumi.dynamic.Resource {
  /** Newest signing secret. A secret output. */
  declare readonly current: pulumi.Output<string>;
  /** Previous signing secret. A secret output. */
  declare readonly previous: pulumi.Output<string | null | undefined>;

  constructor(name: string, args: { secret: pulumi.Input<string> }, opts?: pulumi.CustomResourceOptions) {
    const props = { current: undefined, previous: undefined, secret: pulumi.secret(args.secret) };
    const options = pulumi.mergeOptions(opts, { additionalSecretOutputs: ["current", "previous"] });
    super(forwardTo("webhookSecrets"), name, props, options, "stripe", "WebhookSecrets");
  }
}
