import * as pulumi from "@pulumi/pulumi";
import { forwardTo } from "./forward";

/**
 * The secret that events are signed with, and the one before it, which two endpoints sign with while one replaces the
 * other. The one before stays until the next change, so a secret that has leaked is out after two.
 */
export class WebhookSecrets extends pulumi.dynamic.Resource {
  /** The newest secret; a secret. */
  declare readonly current: pulumi.Output<string>;
  /** The one before it; a secret. */
  declare readonly previous: pulumi.Output<string | null | undefined>;

  constructor(name: string, args: { secret: pulumi.Input<string> }, opts?: pulumi.CustomResourceOptions) {
    const props = { current: undefined, previous: undefined, secret: pulumi.secret(args.secret) };
    const options = pulumi.mergeOptions(opts, { additionalSecretOutputs: ["current", "previous"] });
    super(forwardTo("webhookSecrets"), name, props, options, "stripe", "WebhookSecrets");
  }
}
