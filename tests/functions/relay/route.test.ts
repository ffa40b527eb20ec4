import { describe, expect, it } from "vitest";
import { chooseRoute, parseVipProviders } from "../../../functions/core/relay/route";

const endpoints = { phi3: "https://api.runpod.ai/v2/free", mistral: "https://api.runpod.ai/v2/paid" };

describe("parseVipProviders", () => {
  it("reads the names in order, and ignores spaces, case and duplicates", () => {
    expect(parseVipProviders(" OpenAI, anthropic,openai ,,bedrock").providers).toEqual([
      "openai",
      "anthropic",
      "bedrock",
    ]);
  });

  it("reports unknown names and keeps the known names", () => {
    expect(parseVipProviders("anthropc,openai,")).toEqual({ providers: ["openai"], unknown: ["anthropc"] });
  });

  it.each([undefined, "", " , "])("reads no provider from %j", (value) => {
    expect(parseVipProviders(value)).toEqual({ providers: [], unknown: [] });
  });
});

describe("chooseRoute", () => {
  it("sends free and paid tickets to the workers of their model, never to external providers", () => {
    expect(chooseRoute({ plan: "free", aud: "phi3" }, ["openai"], endpoints)).toEqual({
      external: [],
      worker: { model: "phi3", url: endpoints.phi3 },
    });
    expect(chooseRoute({ plan: "paid", aud: "mistral" }, ["openai"], endpoints)).toMatchObject({
      external: [],
      worker: { model: "mistral" },
    });
  });

  it("sends vip tickets to the external providers in their order, and then to the workers of the plan's model", () => {
    expect(chooseRoute({ plan: "vip", aud: "mistral" }, ["openai", "bedrock"], endpoints)).toEqual({
      external: ["openai", "bedrock"],
      worker: { model: "mistral", url: endpoints.mistral },
    });
    expect(chooseRoute({ plan: "vip", aud: "mistral" }, ["openai"], {})).toEqual({ external: ["openai"] });
  });

  it("sends vip tickets to the workers of the plan's model when no external provider is configured", () => {
    const worker = { model: "mistral", url: endpoints.mistral };
    expect(chooseRoute({ plan: "vip", aud: "mistral" }, [], endpoints)).toEqual({ external: [], worker });
  });

  it("refuses a ticket for another plan's model, and a model that the relay does not serve", () => {
    const wrong = expect.objectContaining({ code: "ticket_wrong_model" });
    expect(() => chooseRoute({ plan: "free", aud: "mistral" }, [], endpoints)).toThrow(wrong);
    expect(() => chooseRoute({ plan: "vip", aud: "phi3" }, ["openai"], endpoints)).toThrow(wrong);
    expect(() => chooseRoute({ plan: "free", aud: "phi3" }, [], { mistral: endpoints.mistral })).toThrow(wrong);
  });
});
