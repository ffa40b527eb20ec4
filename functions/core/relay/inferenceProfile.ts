/** Geographies of Bedrock's inference profiles. The id of a profile begins with its geography. */
export const geographies = ["us", "eu", "apac", "jp", "au", "global"] as const;

/** The parts of a Bedrock inference profile that an IAM policy needs. */
export interface InferenceProfile {
  /** Last part of the profile's ARN: `jp.anthropic.claude-sonnet-5-5`. */
  id: string;
  geography: (typeof geographies)[number];
  /** Model behind the profile: `anthropic.claude-sonnet-5-5`. */
  foundationModel: string;
}

/**
 * Regions to which an inference profile of each geography may route a request. It does no harm to list a Region in
 * which a profile has no model. Source:
 * https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
 */
export const destinationRegions: Record<InferenceProfile["geography"], readonly string[]> = {
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
  // In the ARN of a model, an empty Region means every Region.
  global: [""],
};

/** Error message for a model that is not an inference profile. */
export const inferenceProfileNeeded =
  "Bedrock needs an inference profile, such as jp.anthropic.claude-sonnet-5-5 or its ARN, not the id of a model. " +
  "List the profiles: aws bedrock list-inference-profiles";

const pattern = new RegExp(
  `^(?:arn:aws:bedrock:[a-z0-9-]+:\\d{12}:inference-profile/)?((${geographies.join("|")})\\.([\\w-]+\\.[\\w.:-]+))$`,
);

/**
 * Reads the id or ARN of an inference profile. Newer models of Bedrock accept requests only through a profile.
 *
 * @returns undefined when the text is not an inference profile, such as the bare id `anthropic.claude-sonnet-5-5`
 */
export function parseInferenceProfile(model: string): InferenceProfile | undefined {
  const [, id, geography, foundationModel] = pattern.exec(model) ?? [];
  if (!id || !foundationModel) return undefined;
  return { id, geography: geography as InferenceProfile["geography"], foundationModel };
}
