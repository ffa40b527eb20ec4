import * as pulumi from "@pulumi/pulumi";
import { forwardTo } from "./forward";

/** What a RunPod serverless endpoint is made of. Every field is changed in place. */
export interface EndpointArgs {
  /** 3 to 191 characters. RunPod would allow it twice; this provider does not. */
  name: pulumi.Input<string>;
  /** The id of the `Template` of this stack that its workers run; a template serves one endpoint. */
  templateId: pulumi.Input<string>;
  /**
   * The pools a worker may come from (`GPU_POOLS`), as a set: two or three keep it from starving. A GPU type written with
   * a minus is left out: `["AMPERE_24", "ADA_24", "-NVIDIA L4"]`. Changing it rolls the workers.
   */
  gpuIds: pulumi.Input<pulumi.Input<string>[]>;
  /** GPUs per worker. Default 1. */
  gpuCount?: pulumi.Input<number>;
  /** Workers that always run, and always cost. */
  workersMin: pulumi.Input<number>;
  /** At most this many workers. RunPod lowers it by itself to 2 after 3 days without a request and to 0 after 7. */
  workersMax: pulumi.Input<number>;
  /** Seconds a worker waits for the next job before it stops, 1 to 3600. */
  idleTimeoutSeconds: pulumi.Input<number>;
  /**
   * `QUEUE_DELAY` adds a worker when a job has waited `scalerValue` seconds; `REQUEST_COUNT` keeps one per `scalerValue`
   * jobs, and is for GraphQL only: with it RunPod's REST API knows no `idleTimeoutSeconds`.
   */
  scalerType: pulumi.Input<"QUEUE_DELAY" | "REQUEST_COUNT">;
  /** Seconds or jobs, as `scalerType` says; at least 1. */
  scalerValue: pulumi.Input<number>;
  /** Milliseconds a job may run, 5 seconds to 7 days. */
  executionTimeoutMs: pulumi.Input<number>;
  /** How stopped workers are kept for a fast start. Default `OFF`, as in RunPod's API. */
  flashBootType?: pulumi.Input<"OFF" | "FLASHBOOT" | "PRIORITY_FLASHBOOT">;
  /** Data centres it may run in (`EU-RO-1`), as a set. Default: anywhere. */
  locations?: pulumi.Input<pulumi.Input<string>[]>;
  /** The CUDA version the image needs (`12.8`). Default: any. */
  minCudaVersion?: pulumi.Input<string>;
  /**
   * Models that RunPod's hosts download before a worker starts, and do not bill (`https://huggingface.co/org/name:main`),
   * under `/runpod-volume/huggingface-cache/hub`. Default: none. RunPod's REST API does not know them.
   */
  modelReferences?: pulumi.Input<pulumi.Input<string>[]>;
}

/** One object for all resources, because Pulumi serializes each provider object by itself. */
const provider = forwardTo("endpoint");

/**
 * A RunPod serverless endpoint, served under `https://api.runpod.ai/v2/<id>`. `id` is RunPod's endpoint id.
 *
 * Needs the stack config `runpodApiKey` (secret).
 */
export class Endpoint extends pulumi.dynamic.Resource {
  /** `<project>/<stack>`: who made it. */
  declare readonly owner: pulumi.Output<string>;
  /** The name at RunPod. */
  declare readonly name: pulumi.Output<string>;
  /** The template its workers run. */
  declare readonly templateId: pulumi.Output<string>;
  /** At most this many workers; after a refresh, what RunPod made of it. */
  declare readonly workersMax: pulumi.Output<number>;

  constructor(name: string, args: EndpointArgs, opts?: pulumi.CustomResourceOptions) {
    const owner = `${pulumi.getProject()}/${pulumi.getStack()}`;
    // A second endpoint of the same name would be taken for the first one and then deleted with it.
    const options = pulumi.mergeOptions({ deleteBeforeReplace: true }, opts);
    super(provider, name, { owner, ...args }, options, "runpod", "Endpoint");
  }
}
