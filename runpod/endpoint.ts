import * as pulumi from "@pulumi/pulumi";
import { forwardTo } from "./forward";

/** Inputs of a RunPod serverless endpoint. Every field is changed in place. */
export interface EndpointArgs {
  /** 3 to 191 characters. RunPod allows two endpoints with the same name; this provider does not. */
  name: pulumi.Input<string>;
  /**
   * Id of the `Template` that the endpoint's workers run. The template must belong to this stack. No other endpoint may
   * use this template.
   */
  templateId: pulumi.Input<string>;
  /**
   * GPU pools for the workers (`GPU_POOLS`), as a set. Two or three pools make a shortage unlikely. A minus before a
   * GPU type excludes this type: `["AMPERE_24", "ADA_24", "-NVIDIA L4"]`. A change of this set rolls the workers.
   */
  gpuIds: pulumi.Input<pulumi.Input<string>[]>;
  /** GPUs per worker. Default 1. */
  gpuCount?: pulumi.Input<number>;
  /** Number of workers that always run. They cost money even without requests. */
  workersMin: pulumi.Input<number>;
  /**
   * Maximum number of workers. RunPod lowers this number to 2 after 3 days without a request, and to 0 after 7 days.
   */
  workersMax: pulumi.Input<number>;
  /** Seconds that a worker waits for the next job before it stops, 1 to 3600. */
  idleTimeoutSeconds: pulumi.Input<number>;
  /**
   * `QUEUE_DELAY` adds a worker when a job has waited `scalerValue` seconds. `REQUEST_COUNT` keeps one worker per
   * `scalerValue` jobs. `REQUEST_COUNT` requires GraphQL, because RunPod's REST API refuses it together with
   * `idleTimeoutSeconds`.
   */
  scalerType: pulumi.Input<"QUEUE_DELAY" | "REQUEST_COUNT">;
  /** Seconds or jobs, depending on `scalerType`. At least 1. */
  scalerValue: pulumi.Input<number>;
  /** Maximum duration of a job in milliseconds, from 5 seconds to 7 days. */
  executionTimeoutMs: pulumi.Input<number>;
  /** Whether RunPod keeps stopped workers for a fast start. Default `OFF`, as in RunPod's API. */
  flashBootType?: pulumi.Input<"OFF" | "FLASHBOOT" | "PRIORITY_FLASHBOOT">;
  /** Data centres for the workers (`EU-RO-1`), as a set. Default: all data centres. */
  locations?: pulumi.Input<pulumi.Input<string>[]>;
  /** Minimum CUDA version for the image (`12.8`). Default: any. */
  minCudaVersion?: pulumi.Input<string>;
  /**
   * Models (`https://huggingface.co/org/name:main`) that RunPod's hosts download to
   * `/runpod-volume/huggingface-cache/hub` before a worker starts. RunPod does not bill the download. Default: none.
   * RunPod's REST API does not support such models.
   */
  modelReferences?: pulumi.Input<pulumi.Input<string>[]>;
}

/** All resources share one provider object, because Pulumi serializes every provider object separately. */
const provider = forwardTo("endpoint");

/**
 * A RunPod serverless endpoint, served under `https://api.runpod.ai/v2/<id>`. `id` is RunPod's endpoint id.
 *
 * Needs the stack config `runpodApiKey` (secret).
 */
export class Endpoint extends pulumi.dynamic.Resource {
  /** Stack that owns the endpoint, `<project>/<stack>`. */
  declare readonly owner: pulumi.Output<string>;
  /** The endpoint's name at RunPod. */
  declare readonly name: pulumi.Output<string>;
  /** Id of the template that the endpoint's workers run. */
  declare readonly templateId: pulumi.Output<string>;
  /** Maximum number of workers. A refresh replaces this number with the value at RunPod. */
  declare readonly workersMax: pulumi.Output<number>;

  constructor(name: string, args: EndpointArgs, opts?: pulumi.CustomResourceOptions) {
    const owner = `${pulumi.getProject()}/${pulumi.getStack()}`;
    // By default, Pulumi creates the replacement first. The create would adopt the old endpoint of the same name, and
    // Pulumi would then delete that endpoint.
    const options = pulumi.mergeOptions({ deleteBeforeReplace: true }, opts);
    super(provider, name, { owner, ...args }, options, "runpod", "Endpoint");
  }
}
