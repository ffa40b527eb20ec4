import { describe, expect, it } from "vitest";
import { realVip } from "../../local/commands/realVip";

describe("External LLMs from the environment", () => {
  it("are the local servers when VIP_PROVIDERS is not set, even if keys are set", () => {
    expect(realVip({ ANTHROPIC_API_KEY: "sk-ant", OPENAI_API_KEY: "sk" })).toBeUndefined();
  });

  it("are called at the vendors' URLs with their keys, in the given order", () => {
    const env = { VIP_PROVIDERS: "openai, anthropic", ANTHROPIC_API_KEY: "sk-ant", OPENAI_API_KEY: "sk" };
    expect(realVip(env)).toMatchObject({
      providers: ["openai", "anthropic"],
      config: {
        "vip.providers": ["openai", "anthropic"],
        "vip.openai.baseUrl": "https://api.openai.com/v1",
        openaiApiKey: "sk",
        "vip.anthropic.baseUrl": "https://api.anthropic.com",
        anthropicApiKey: "sk-ant",
      },
      lambdaEnv: {},
    });
  });

  it("have the configured model, effort and base URL, and need no key for a local server", () => {
    const env = {
      VIP_PROVIDERS: "openai",
      OPENAI_BASE_URL: "http://localhost:11434/v1",
      OPENAI_MODEL: "gemma3",
      OPENAI_EFFORT: "low",
    };
    expect(realVip(env)?.config).toEqual({
      "vip.providers": ["openai"],
      "vip.openai.model": "gemma3",
      "vip.openai.effort": "low",
      "vip.openai.baseUrl": "http://localhost:11434/v1",
      openaiApiKey: "none",
    });
  });

  it("give the functions the AWS credentials for Bedrock", () => {
    const credentials = {
      AWS_ACCESS_KEY_ID: "AKIAIOSFODNN7EXAMPLE",
      AWS_SECRET_ACCESS_KEY: "secret",
      AWS_SESSION_TOKEN: "token",
    };
    const vip = realVip({ VIP_PROVIDERS: "bedrock", AWS_REGION: "ap-northeast-1", ...credentials, HOME: "/root" });
    expect(vip?.lambdaEnv).toEqual(credentials);
    expect(vip?.config).toMatchObject({
      "vip.bedrock.region": "ap-northeast-1",
      "vip.bedrock.baseUrl": "https://bedrock-runtime.ap-northeast-1.amazonaws.com",
    });
  });

  it.each([
    [
      "an unknown provider",
      { VIP_PROVIDERS: "gemini" },
      'VIP_PROVIDERS must list anthropic, openai, bedrock, huggingface, got "gemini".',
    ],
    ["Claude without a key", { VIP_PROVIDERS: "anthropic" }, "ANTHROPIC_API_KEY is not set"],
    ["HuggingFace without a token", { VIP_PROVIDERS: "huggingface" }, "HF_TOKEN is not set"],
    ["Bedrock without a region", { VIP_PROVIDERS: "bedrock" }, "neither BEDROCK_REGION nor AWS_REGION is set"],
    ["Bedrock without credentials", { VIP_PROVIDERS: "bedrock", AWS_REGION: "x" }, "AWS_SECRET_ACCESS_KEY are not set"],
  ])("are rejected for %s", (_, env, message) => {
    expect(() => realVip(env)).toThrow(message);
  });
});
