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

/** Error message for a model that is not an inference profile. */
export const inferenceProfileNeeded =
  "Bedrock needs an inference profile, such as jp.anthropic.claude-sonnet-5-5 or its ARN, not the id of a model. " +
  "List the profiles: aws bedrock list-inference-profiles";

const pattern = new RegExp(
  `^(?:arn:aws:bedrock:[a-z0-9-]+:\\d{12}:inference-profile/)?((${geographies.join("|")})\\.([\\w-]+\\.[\\w.:-]+))$`,
);

/**
 * Reads the id or ARN of an inference profile. Newer models of Bedrock refuse requests that name the model itself
 * instead of a profile.
 *
 * @returns undefined when the text is not an inference profile, such as the bare id `anthropic.claude-sonnet-5-5`
 */
export function parseInferenceProfile(model: string): InferenceProfile | undefined {
  const [, id, geography, foundationModel] = pattern.exec(model) ?? [];
  if (!id || !foundationModel) return undefined;
  return { id, geography: geography as InferenceProfile["geography"], foundationModel };
}
