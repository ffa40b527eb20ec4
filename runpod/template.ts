import * as pulumi from "@pulumi/pulumi";
import { forwardTo } from "./forward";

/** What a RunPod template is made of. Every field is changed in place. */
export interface TemplateArgs {
  /** Unique in the RunPod account, 3 to 191 characters. */
  name: pulumi.Input<string>;
  /** The worker's image with a tag other than `latest`, or a digest. Changing it rolls the workers of the endpoint. */
  imageName: pulumi.Input<string>;
  /**
   * The worker's environment. Write a secret as `{{ RUNPOD_SECRET_name }}`. `SNACK_MISAKI_STACK` is set beside it: the
   * mark by which a stack knows its own template again.
   */
  env: pulumi.Input<Record<string, pulumi.Input<string>>>;
  /** Gigabytes of disk; must exceed the unpacked image, or the worker dies without a log. */
  containerDiskInGb: pulumi.Input<number>;
  /** Overrides the image's command. Default: empty, which keeps it. */
  dockerArgs?: pulumi.Input<string>;
  /** The id of registry credentials stored at RunPod. Default: none, for a public image. */
  containerRegistryAuthId?: pulumi.Input<string>;
}

/** One object for all resources, because Pulumi serializes each provider object by itself. */
const provider = forwardTo("template");

/**
 * A RunPod template: the image and environment the workers of one endpoint run. `id` is RunPod's template id.
 *
 * Needs the stack config `runpodApiKey` (secret).
 */
export class Template extends pulumi.dynamic.Resource {
  /** `<project>/<stack>`: who made it. */
  declare readonly owner: pulumi.Output<string>;
  /** The name at RunPod. */
  declare readonly name: pulumi.Output<string>;
  /** The image the workers run. */
  declare readonly imageName: pulumi.Output<string>;

  constructor(name: string, args: TemplateArgs, opts?: pulumi.CustomResourceOptions) {
    const owner = `${pulumi.getProject()}/${pulumi.getStack()}`;
    // A second template of the same name would be taken for the first one and then deleted with it.
    const options = pulumi.mergeOptions({ deleteBeforeReplace: true }, opts);
    super(provider, name, { owner, ...args }, options, "runpod", "Template");
  }
}
