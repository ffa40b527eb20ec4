import { describe, expect, it } from "vitest";
import { parseInferenceProfile } from "../../../functions/core/relay/inferenceProfile";

const arn = (resource: string) => `arn:aws:bedrock:ap-northeast-1:123456789012:${resource}`;

describe("parseInferenceProfile", () => {
  it.each([
    ["jp.anthropic.claude-sonnet-5-5", "anthropic.claude-sonnet-5-5"],
    ["us.anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic.claude-haiku-4-5-20251001-v1:0"],
    ["global.amazon.nova-2-lite-v1:0", "amazon.nova-2-lite-v1:0"],
  ])("reads %s and its ARN", (id, foundationModel) => {
    expect(parseInferenceProfile(id)).toEqual({ id, foundationModel });
    expect(parseInferenceProfile(arn(`inference-profile/${id}`))).toEqual({ id, foundationModel });
  });

  it("reads the ARN of an application inference profile, whose model is unknown", () => {
    const profile = { id: "a1b2c3d4e5f6", foundationModel: undefined };
    expect(parseInferenceProfile(arn("application-inference-profile/a1b2c3d4e5f6"))).toEqual(profile);
  });

  it.each([
    "anthropic.claude-sonnet-5-5",
    "amazon.nova-pro-v1:0",
    "arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.claude-sonnet-5-5",
    "claude-sonnet-5-5",
    "jp.claude-sonnet-5-5",
    "",
  ])("refuses %j", (model) => {
    expect(parseInferenceProfile(model)).toBeUndefined();
  });
});
