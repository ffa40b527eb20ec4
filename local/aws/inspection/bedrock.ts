import { Hono } from "hono";
import { parseInferenceProfile } from "../../../functions/core/relay/inferenceProfile";

/** Inference profiles of Bedrock, which AWS itself offers. */
export interface BedrockOffer {
  /** Id of each profile with the life cycle of its model. */
  profiles: Record<string, "ACTIVE" | "LEGACY">;
}

/** Bedrock's control plane: `GetInferenceProfile` and `GetFoundationModel`. */
export function bedrockApi({ profiles }: BedrockOffer): Hono {
  const app = new Hono();
  app.get("/inference-profiles/:id", (c) => {
    const id = parseInferenceProfile(c.req.param("id"))?.id ?? "";
    if (!profiles[id]) {
      c.header("x-amzn-errortype", "ResourceNotFoundException");
      return c.json({ message: "The specified inference profile was not found." }, 404);
    }
    return c.json({ inferenceProfileId: id, inferenceProfileName: id, status: "ACTIVE", type: "SYSTEM_DEFINED" });
  });
  app.get("/foundation-models/:id", (c) => {
    const of = Object.keys(profiles).find((id) => parseInferenceProfile(id)?.foundationModel === c.req.param("id"));
    if (!of) {
      c.header("x-amzn-errortype", "ValidationException");
      return c.json({ message: "The provided model identifier is invalid." }, 400);
    }
    return c.json({ modelDetails: { modelId: c.req.param("id"), modelLifecycle: { status: profiles[of] } } });
  });
  return app;
}
