import type * as pulumi from "@pulumi/pulumi";
import type { Model } from "../contract/plan";
import type { Secret } from "../runpod/secret";
import { Template } from "../runpod/template";
import type { inferenceSettings } from "./inferenceSettings";
import type { Registry } from "./registry";
import type { Tickets } from "./tickets";
import type { PulledImage } from "./workerImage";

/** Arguments of `createWorkerTemplate`. */
interface WorkerTemplateArgs {
  /** Name of the resource in the program. */
  resourceName: string;
  model: Model;
  /** Name of the template at RunPod. */
  name: string;
  settings: ReturnType<typeof inferenceSettings>["template"];
  image: PulledImage;
  registry: Registry;
  tickets: Tickets;
  /** Hugging Face token of the workers. */
  huggingfaceToken: Secret | undefined;
}

/**
 * Creates the RunPod template of a model's workers. A new image tag changes only the template's image. RunPod then
 * replaces the workers.
 */
export function createWorkerTemplate(
  { resourceName, model, name, settings, image, registry, tickets, huggingfaceToken }: WorkerTemplateArgs,
  opts: pulumi.CustomResourceOptions,
): Template {
  const containerRegistryAuthId = registry.credentialsFor(image);
  return new Template(
    resourceName,
    {
      name,
      imageName: image.uri,
      ...(containerRegistryAuthId && { containerRegistryAuthId }),
      ...settings,
      env: {
        MODEL: model,
        TICKET_ISSUER: tickets.issuer,
        TICKET_JWKS: tickets.jwks,
        ...(huggingfaceToken && { HF_TOKEN: huggingfaceToken.reference }),
      },
    },
    opts,
  );
}
