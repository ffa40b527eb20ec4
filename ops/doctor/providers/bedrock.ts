import { BedrockClient, GetFoundationModelCommand, GetInferenceProfileCommand } from "@aws-sdk/client-bedrock";
import { parseInferenceProfile } from "../../../functions/core/relay/inferenceProfile";
import { type Aws, awsClient } from "../awsClient";
import type { Check } from "../check";
import { judgeModel } from "./models";

/**
 * Checks that Bedrock offers the inference profile, and that AWS does not retire the model behind it.
 *
 * @param region `vip.bedrock.region` of the configuration. Default: the stack's Region
 */
export async function checkBedrock(model: string, region: string | undefined, aws: Aws): Promise<Check> {
  const client = new BedrockClient(awsClient("inspection", { ...aws, region: region ?? aws.region }));
  try {
    const { status } = await client.send(new GetInferenceProfileCommand({ inferenceProfileIdentifier: model }));
    if (status !== "ACTIVE") return judgeModel("bedrock", model, "missing");
  } catch (error) {
    if (error instanceof Error && error.name === "ResourceNotFoundException")
      return judgeModel("bedrock", model, "missing");
    throw error;
  }
  const modelIdentifier = parseInferenceProfile(model)?.foundationModel;
  const { modelDetails } = await client.send(new GetFoundationModelCommand({ modelIdentifier }));
  return judgeModel("bedrock", model, modelDetails?.modelLifecycle?.status === "LEGACY" ? "retired" : "offered");
}
