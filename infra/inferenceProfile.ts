import { parseInferenceProfile } from "../functions/core/relay/inferenceProfile";

/**
 * Regions to which an inference profile of each geography may route a request. A Region in which a profile has no model
 * does no harm. Source: https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
 */
const destinationRegions: Readonly<Record<string, readonly string[]>> = {
  us: ["us-east-1", "us-east-2", "us-west-1", "us-west-2"],
  eu: ["eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3"],
  apac: [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-4",
  ],
  jp: ["ap-northeast-1", "ap-northeast-3"],
  au: ["ap-southeast-2", "ap-southeast-4"],
  // The empty Region stands for every Region.
  global: [""],
};

/** First parts of the ids of inference profiles whose Regions are known. */
export const geographies = Object.keys(destinationRegions);

/** The foundation model behind an inference profile, and the Regions to which the profile may route a request. */
export interface ProfileRoute {
  model: string;
  regions: readonly string[];
}

/**
 * Reads the id or ARN of an inference profile, such as `jp.<vendor>.<model>`.
 *
 * @returns undefined for a foundation model, and for a profile whose model or Regions are not known
 */
export function profileRoute(profile: string): ProfileRoute | undefined {
  const { id = "", foundationModel: model } = parseInferenceProfile(profile) ?? {};
  const regions = destinationRegions[id.split(".")[0] ?? ""];
  return model !== undefined && regions ? { model, regions } : undefined;
}
