import * as pulumi from "@pulumi/pulumi";
import { destinationRegions, type Geography, inferenceProfile } from "./inferenceProfile";
import type { Statement } from "./lambda";

/**
 * Allows invoking a model through an inference profile: the profile, and the foundation model in the source Region and in
 * each destination Region. Nothing may invoke the foundation model without the profile.
 *
 * @param profile id or ARN that `inferenceProfile` matches
 * @param source Region and account of the requests
 */
export function invokeProfile(
  profile: string,
  source: { region: pulumi.Input<string>; accountId: pulumi.Input<string> },
): Statement[] {
  const [, geography = "", model] = inferenceProfile.exec(profile) ?? [];
  if (!model) throw new Error(`${profile} is not an inference profile`);
  const Action = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"];
  const arn = profile.startsWith("arn:")
    ? pulumi.output(profile)
    : pulumi.interpolate`arn:aws:bedrock:${source.region}:${source.accountId}:inference-profile/${profile}`;
  const models = pulumi
    .output(source.region)
    .apply((region) => [...new Set([region, ...destinationRegions[geography as Geography]])])
    .apply((regions) => regions.map((region) => `arn:aws:bedrock:${region}::foundation-model/${model}`));
  return [
    { Action, Resource: [arn] },
    { Action, Resource: models, Condition: { StringEquals: { "bedrock:InferenceProfileArn": arn } } },
  ];
}
