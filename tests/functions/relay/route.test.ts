import { describe, expect, it } from "vitest";
import { chooseRoute, parseVipProviders } from "../../../functions/core/relay/route";

const endpoints = { phi3: "https://api.runpod.ai/v2/free", mistral: "https://api.runpod.ai/v2/paid" };

describe("parseVipProviders", () => {
  it("reads names in their order, without spaces, capitals and duplicates", () => {
    expect(parseVipProviders(" OpenAI, anthropic,openai ,,bedrock").providers).toEqual([
      "openai",
      "anthropic",
      "bedrock",
    ]);
  });

  it("reports unknown names and keeps the others", () => {
    expect(parseVipProviders("anthropc,openai,")).toEqual({ providers: ["openai"], unknown: ["anthropc"] });
  });

  it.each([undefined, "", " , "])("reads no provider from %j", (value) => {
    expect(parseVipProviders(value)).toEqual({ providers: [], unknown: [] });
  });
});

describe("chooseRoute", () => {
  it("sends free and paid tickets to the workers of their model, whatever the external providers", () => {
    expect(chooseRoute({ plan: "free", aud: "phi3" }, ["openai"], endpoints)).toEqual({
      kind: "worker",
      model: "phi3",
      url: endpoints.phi3,
    });
    expect(chooseRoute({ plan: "paid", aud: "mistral" }, ["openai"], endpoints)).toMatchObject({ model: "mistral" });
  });

  it("sends vip tickets to the external providers in their order, also without an endpoint", () => {
    const external = { kind: "external", providers: ["openai", "bedrock"] };
    expect(chooseRoute({ plan: "vip", aud: "mistral" }, ["openai", "bedrock"], endpoints)).toEqual(external);
    expect(chooseRoute({ plan: "vip", aud: "mistral" }, ["openai", "bedrock"], {})).toEqual(external);
  });

  it("sends vip tickets to the plan's model when no external provider may answer", () => {
    expect(chooseRoute({ plan: "vip", aud: "mistral" }, [], endpoints)).toMatchObject({
      kind: "worker",
      model: "mistral",
    });
  });

  it("refuses a ticket for another plan's model, and a model that the relay does not serve", () => {
    const wrong = expect.objectContaining({ code: "ticket_wrong_model" });
    expect(() => chooseRoute({ plan: "free", aud: "mistral" }, [], endpoints)).toThrow(wrong);
    expect(() => chooseRoute({ plan: "vip", aud: "phi3" }, ["openai"], endpoints)).toThrow(wrong);
    expect(() => chooseRoute({ plan: "free", aud: "phi3" }, [], { mistral: endpoints.mistral })).toThrow(wrong);
  });
});
