import * as pulumi from "@pulumi/pulumi";
import {
  destinationRegions,
  inferenceProfileNeeded,
  parseInferenceProfile,
} from "../functions/core/relay/inferenceProfile";
import type { Statement } from "./lambda";

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
  // ConverseStream needs this action. The relay makes no other call.
  const Action = ["bedrock:InvokeModelWithResponseStream"];
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
