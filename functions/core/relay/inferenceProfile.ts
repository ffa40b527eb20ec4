/** An inference profile of Bedrock, in the parts that IAM policies name. */
export interface InferenceProfile {
  /** Last part of the profile's ARN: `jp.anthropic.claude-sonnet-5-5`. */
  id: string;
  /** Model behind the profile. Undefined for an application inference profile, whose id is a random string. */
  foundationModel: string | undefined;
}

/** Error message for a model id that is not an inference profile. */
export const inferenceProfileNeeded =
  "Bedrock needs an inference profile, such as jp.anthropic.claude-sonnet-5-5 or its ARN, not the id of a model. " +
  "List the profiles: aws bedrock list-inference-profiles";

/** `<geography>.<vendor>.<model>`. A model's own id has the vendor first and no geography. */
const systemProfile = /^(?:us|us-gov|eu|apac|jp|au|ca|sa|me|af|il|mx|uk|global)\.([a-z0-9-]+\.[\w.:-]+)$/;
const profileArn = /^arn:aws[a-z-]*:bedrock:[a-z0-9-]+:\d{12}:(application-)?inference-profile\/([\w.:-]+)$/;

/**
 * Reads the id or ARN of an inference profile. Newer models of Bedrock refuse requests by their own id.
 *
 * @returns undefined when the text is not an inference profile, such as the bare id `anthropic.claude-sonnet-5-5`
 */
export function parseInferenceProfile(model: string): InferenceProfile | undefined {
  const [, application, arnId] = profileArn.exec(model) ?? [];
  if (application && arnId) return { id: arnId, foundationModel: undefined };
  const id = arnId ?? model;
  const foundationModel = systemProfile.exec(id)?.[1];
  return foundationModel === undefined ? undefined : { id, foundationModel };
}
