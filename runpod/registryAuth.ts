import * as pulumi from "@pulumi/pulumi";
import { forwardTo } from "./forward";

/** What registry credentials are made of. */
export interface RegistryAuthArgs {
  /**
   * Unique in the RunPod account, 3 to 191 characters, beginning with `<project>-<stack>-`: credentials have nothing else
   * to carry a mark by which a stack knows its own again. A new name is a new resource.
   */
  name: pulumi.Input<string>;
  /** The registry's user name; `AWS` for Amazon ECR. Changed in place; RunPod's REST API cannot. */
  username: pulumi.Input<string>;
  /** The password or token, kept as a secret. Changed in place; RunPod's REST API cannot. */
  password: pulumi.Input<string>;
}

/**
 * Credentials that RunPod pulls private images with. `id` is what a `Template` takes as `containerRegistryAuthId`.
 *
 * RunPod never shows a password, so one changed elsewhere is no drift. Needs the stack config `runpodApiKey` (secret).
 */
export class RegistryAuth extends pulumi.dynamic.Resource {
  /** `<project>/<stack>`: who made it. */
  declare readonly owner: pulumi.Output<string>;
  /** The name at RunPod. */
  declare readonly name: pulumi.Output<string>;
  /** The registry's user name. */
  declare readonly username: pulumi.Output<string>;

  constructor(name: string, args: RegistryAuthArgs, opts?: pulumi.CustomResourceOptions) {
    const owner = `${pulumi.getProject()}/${pulumi.getStack()}`;
    const inputs = { owner, ...args, password: pulumi.secret(args.password) };
    const options = pulumi.mergeOptions({ additionalSecretOutputs: ["password"] }, opts);
    super(forwardTo("registryAuth"), name, inputs, options, "runpod", "RegistryAuth");
  }
}
