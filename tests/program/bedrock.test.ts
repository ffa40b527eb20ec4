import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { geographies } from "../../functions/core/relay/inferenceProfile";
import { invokeProfile } from "../../infra/bedrock";

const source = { region: "ap-northeast-1", accountId: "123456789012" };

/** Resources that the statements for a profile allow: first the profile, then its models. */
async function resourcesOf(profile: string, region = source.region): Promise<string[][]> {
  const statements = invokeProfile(profile, { ...source, region });
  const json = pulumi.jsonStringify(statements.map(({ Resource }) => Resource));
  return new Promise((resolve) => json.apply((text) => resolve(JSON.parse(text))));
}

const model = (region: string) => `arn:aws:bedrock:${region}::foundation-model/vendor.model-v1:0`;

describe("The permissions for an inference profile", () => {
  it("allow the profile, and its model in the destination Regions of the geography", async () => {
    expect(await resourcesOf("jp.vendor.model-v1:0")).toEqual([
      ["arn:aws:bedrock:ap-northeast-1:123456789012:inference-profile/jp.vendor.model-v1:0"],
      [model("ap-northeast-1"), model("ap-northeast-3")],
    ]);
  });

  it("allow the model in the source Region, even when this Region is not a destination", async () => {
    const [, models] = await resourcesOf("jp.vendor.model-v1:0", "us-east-1");
    expect(models).toEqual([model("us-east-1"), model("ap-northeast-1"), model("ap-northeast-3")]);
  });

  it("allow the model without a Region for a global profile", async () => {
    const [, models] = await resourcesOf("global.vendor.model-v1:0");
    expect(models).toEqual([model("ap-northeast-1"), model("")]);
  });

  it("allow a profile that is configured as an ARN", async () => {
    const arn = "arn:aws:bedrock:eu-west-1:210987654321:inference-profile/eu.vendor.model-v1:0";
    const [profile, models] = await resourcesOf(arn, "eu-west-1");
    expect(profile).toEqual([arn]);
    expect(models).toContain(model("eu-central-1"));
  });

  it.each(geographies)("contain no wildcard, and each Region only once, for the geography %s", async (geography) => {
    const [profile = [], models = []] = await resourcesOf(`${geography}.vendor.model-v1:0`);
    expect([...profile, ...models].join()).not.toContain("*");
    expect(new Set(models).size).toBe(models.length);
  });

  it("allow the model only through the profile", async () => {
    const [, ofModels] = invokeProfile("jp.vendor.model-v1:0", source);
    const condition = await new Promise((resolve) => pulumi.output(ofModels?.Condition).apply(resolve));
    expect(condition).toEqual({
      StringEquals: {
        "bedrock:InferenceProfileArn":
          "arn:aws:bedrock:ap-northeast-1:123456789012:inference-profile/jp.vendor.model-v1:0",
      },
    });
  });
});
