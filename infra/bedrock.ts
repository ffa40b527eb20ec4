import * as pulumi from "@pulumi/pulumi";
import {
  type InferenceProfile,
  inferenceProfileNeeded,
  parseInferenceProfile,
} from "../functions/core/relay/inferenceProfile";
import type { Statement } from "./lambda";

/**
 * Regions to which an inference profile of each geography may route a request. It does no harm to list a Region in
 * which a profile has no model. Source:
 * https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
 */
const destinationRegions: Record<InferenceProfile["geography"], readonly string[]> = {
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

/**
 * Allows invoking a model through an inference profile: the profile, and the foundation model in the source Region and in
 * each destination Region. The foundation model cannot be invoked without the profile.
 *
 * @param profile id or ARN of an inference profile
 * @param source Region and account of the requests
 */
export function invokeProfile(
  profile: string,
  source: { region: pulumi.Input<string>; accountId: pulumi.Input<string> },
): Statement[] {
  const parsed = parseInferenceProfile(profile);
  if (!parsed) throw new Error(inferenceProfileNeeded);
  const Action = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"];
  const arn = profile.startsWith("arn:")
    ? pulumi.output(profile)
    : pulumi.interpolate`arn:aws:bedrock:${source.region}:${source.accountId}:inference-profile/${profile}`;
  const models = pulumi
    .output(source.region)
    .apply((region) =>
      [...new Set([region, ...destinationRegions[parsed.geography]])].map(
        (each) => `arn:aws:bedrock:${each}::foundation-model/${parsed.foundationModel}`,
      ),
    );
  return [
    { Action, Resource: [arn] },
    { Action, Resource: models, Condition: { StringEquals: { "bedrock:InferenceProfileArn": arn } } },
  ];
}
