import * as pulumi from "@pulumi/pulumi";
import { forwardTo } from "./forward";

/** Inputs of registry credentials. */
export interface RegistryAuthArgs {
  /**
   * Unique in the RunPod account, 3 to 191 characters, beginning with `<project>-<stack>-`. This prefix is the owner
   * tag, because credentials have no other field for a tag. A new name replaces the credentials.
   */
  name: pulumi.Input<string>;
  /**
   * The registry's user name (`AWS` for Amazon ECR). Changed in place.
   */
  username: pulumi.Input<string>;
  /** The password or token, a secret. Changed in place. */
  password: pulumi.Input<string>;
}

/**
 * Credentials for pulling private images. `id` is the `containerRegistryAuthId` of a `Template`. RunPod never returns
 * the password, so a refresh does not detect a changed password. Needs the stack config `runpodApiKey` (secret).
 */
export class RegistryAuth extends pulumi.dynamic.Resource {
  /** Stack that owns the credentials, `<project>/<stack>`. */
  declare readonly owner: pulumi.Output<string>;
  /** The credentials' name at RunPod. */
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
