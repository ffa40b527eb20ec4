import { describe, expect, it } from "vitest";
import { parseInferenceProfile } from "../../../functions/core/relay/inferenceProfile";

const arn = (resource: string) => `arn:aws:bedrock:ap-northeast-1:123456789012:${resource}`;

describe("parseInferenceProfile", () => {
  it.each([
    ["jp", "anthropic.claude-sonnet-5-5"],
    ["us", "anthropic.claude-haiku-4-5-20251001-v1:0"],
    ["global", "amazon.nova-2-lite-v1:0"],
  ])("parses the id and the ARN of the profile %s.%s", (geography, foundationModel) => {
    const profile = { id: `${geography}.${foundationModel}`, geography, foundationModel };
    expect(parseInferenceProfile(profile.id)).toEqual(profile);
    expect(parseInferenceProfile(arn(`inference-profile/${profile.id}`))).toEqual(profile);
  });

  it.each([
    "anthropic.claude-sonnet-5-5",
    "amazon.nova-pro-v1:0",
    "arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.claude-sonnet-5-5",
    "arn:aws:bedrock:ap-northeast-1:123456789012:application-inference-profile/a1b2c3d4e5f6",
    "claude-sonnet-5-5",
    "jp.claude-sonnet-5-5",
    "",
  ])("returns undefined for %j", (model) => {
    expect(parseInferenceProfile(model)).toBeUndefined();
  });
});
