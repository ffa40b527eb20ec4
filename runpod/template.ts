import * as pulumi from "@pulumi/pulumi";
import { forwardTo } from "./forward";

/** Inputs of a RunPod template. Every field is changed in place. */
export interface TemplateArgs {
  /** Unique in the RunPod account, 3 to 191 characters. */
  name: pulumi.Input<string>;
  /**
   * The worker's image, with a digest or a tag. The tag `latest` is not allowed. A change of the image rolls the
   * endpoint's workers.
   */
  imageName: pulumi.Input<string>;
  /**
   * The worker's environment. Write a secret as `{{ RUNPOD_SECRET_name }}`. The provider adds the owner tag
   * `SNACK_MISAKI_STACK`, so that a stack recognizes its template.
   */
  env: pulumi.Input<Record<string, pulumi.Input<string>>>;
  /** Size of the worker's disk in gigabytes. If the unpacked image does not fit, the worker stops without a log. */
  containerDiskInGb: pulumi.Input<number>;
  /** Overrides the image's command. Default: empty, which keeps the image's command. */
  dockerArgs?: pulumi.Input<string>;
  /** Id of registry credentials stored at RunPod. Default: none, for a public image. */
  containerRegistryAuthId?: pulumi.Input<string>;
}

/** All resources share one provider object, because Pulumi serializes every provider object separately. */
const provider = forwardTo("template");

/**
 * A RunPod template: the image and environment of one endpoint's workers. `id` is RunPod's template id.
 *
 * Needs the stack config `runpodApiKey` (secret).
 */
export class Template extends pulumi.dynamic.Resource {
  /** Stack that owns the template, `<project>/<stack>`. */
  declare readonly owner: pulumi.Output<string>;
  /** The template's name at RunPod. */
  declare readonly name: pulumi.Output<string>;
  /** The image the workers run. */
  declare readonly imageName: pulumi.Output<string>;

  constructor(name: string, args: TemplateArgs, opts?: pulumi.CustomResourceOptions) {
    const owner = `${pulumi.getProject()}/${pulumi.getStack()}`;
    // By default, Pulumi creates the replacement first. The create would adopt the old template of the same name, and
    // Pulumi would then delete that template.
    const options = pulumi.mergeOptions({ deleteBeforeReplace: true }, opts);
    super(provider, name, { owner, ...args }, options, "runpod", "Template");
  }
}
