import * as pulumi from "@pulumi/pulumi";
import { forwardTo } from "./forward";
import { secretReference } from "./secretReference";

/** Inputs of a secret. */
export interface SecretArgs {
  /**
   * Unique in the RunPod account, at most 191 letters, digits and `_ . - /`, beginning with `<project>-<stack>-`. This
   * prefix is the owner tag. A new name replaces the secret.
   */
  name: pulumi.Input<string>;
  /** The value. Changed in place: a worker gets the new value when it starts. */
  value: pulumi.Input<string>;
}

/**
 * A secret of the RunPod account. The environment of a `Template` refers to it by `reference`, so that the template
 * does not contain the value. RunPod never returns the value, so a refresh does not detect a changed value. Needs the
 * stack config `runpodApiKey` (secret).
 */
export class Secret extends pulumi.dynamic.Resource {
  /** Stack that owns the secret, `<project>/<stack>`. */
  declare readonly owner: pulumi.Output<string>;
  /** The secret's name at RunPod. */
  declare readonly name: pulumi.Output<string>;
  /** `secretReference` of the name. */
  readonly reference: pulumi.Output<string>;

  constructor(name: string, args: SecretArgs, opts?: pulumi.CustomResourceOptions) {
    const owner = `${pulumi.getProject()}/${pulumi.getStack()}`;
    const inputs = { owner, ...args, value: pulumi.secret(args.value) };
    const options = pulumi.mergeOptions({ additionalSecretOutputs: ["value"] }, opts);
    super(forwardTo("secret"), name, inputs, options, "runpod", "Secret");
    this.reference = this.name.apply(secretReference);
  }
}
