import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import type { VipProvider } from "../../../contract/relay";
import { type Check, failed, ok, unknown, warning } from "../check";

/** Answer of a provider to the question whether it offers a model. */
export type Offer = "offered" | "retired" | "missing" | "refused" | { reason: string };

/** Access to one provider with an API key. */
export interface ProviderAccess {
  name: Exclude<VipProvider, "bedrock">;
  model: string;
  /** Secret. */
  key: string;
  baseUrl: string | undefined;
  timeoutMs: number;
}

/** Checks that a provider still offers the configured model. */
export function judgeModel(provider: VipProvider, model: string, offer: Offer): Check {
  const name = `${provider} model`;
  const change = `Set vip.${provider}.model to a model that ${provider} offers, with its prices, and run "pulumi up".`;
  if (offer === "offered") return ok(name, model);
  if (offer === "retired") return warning(name, `${provider} will retire ${model}`, change);
  if (offer === "missing")
    return failed(name, `${provider} does not offer ${model}: its chats go to the next provider`, change);
  if (offer === "refused") {
    const todo = `Make a new key at ${provider}, then: pulumi config set --secret ${keyNames[provider]}.`;
    return failed(name, `${provider} refuses the key: its chats go to the next provider`, todo);
  }
  const todo = `Look at ${provider}'s status page, then run the doctor again.`;
  return unknown(name, `${provider} did not say whether it offers ${model}: ${offer.reason}`, todo);
}

/** Next step's name of the credentials. */
const keyNames: Record<VipProvider, string> = {
  anthropic: "anthropicApiKey",
  openai: "openaiApiKey",
  huggingface: "huggingfaceToken",
  bedrock: "vip.bedrock",
};

/** Asks a provider for the configured model. */
export async function checkModel(access: ProviderAccess): Promise<Check> {
  const offer = await readOffer(access).catch((error: unknown): Offer => {
    const { status } = error as { status?: unknown };
    if (status === 404) return "missing";
    if (status === 401 || status === 403) return "refused";
    return { reason: typeof status === "number" ? `HTTP ${status}` : "no answer" };
  });
  return judgeModel(access.name, access.model, offer);
}

async function readOffer({ name, model, key, baseUrl, timeoutMs }: ProviderAccess): Promise<Offer> {
  const options = { apiKey: key, timeout: timeoutMs, maxRetries: 1, logLevel: "off" } as const;
  switch (name) {
    case "anthropic":
      await new Anthropic({ ...options, ...(baseUrl && { baseURL: baseUrl }), authToken: null }).models.retrieve(model);
      return "offered";
    case "openai":
      await new OpenAI({ ...options, ...(baseUrl && { baseURL: baseUrl }) }).models.retrieve(model);
      return "offered";
    case "huggingface": {
      // The router has no operation for one model. The configured name may select a partner: <model>:<partner>.
      const client = new OpenAI({ ...options, baseURL: baseUrl ?? "https://router.huggingface.co/v1" });
      const [wanted] = model.split(":");
      for await (const { id } of client.models.list()) if (id === wanted) return "offered";
      return "missing";
    }
  }
}
