import type { VipProvider } from "../../../contract/relay";
import type { PriceSource } from "./source";

export const llmPriceSource: PriceSource = {
  of: "external LLMs",
  date: "2026-11-26",
  source: "platform.claude.com and developers.openai.com, lists of models",
};

/** US dollars per million tokens. */
interface ListPrice {
  input: number;
  output: number;
}

/**
 * List prices by provider and model. The estimate uses the prices of the configuration, because the relay counts with
 * them. A difference from this list is reported.
 */
export const llmPrices: Partial<Record<VipProvider, Record<string, ListPrice>>> = {
  anthropic: {
    "claude-sonnet-5-5": { input: 2, output: 10 },
    "claude-haiku-5-5": { input: 0.1, output: 0.5 },
  },
  openai: {
    "gpt-6.2-astra": { input: 8, output: 40 },
    "gpt-6.2-sol": { input: 2, output: 10 },
    "gpt-6.1-terra": { input: 1, output: 5 },
    "gpt-6-luna": { input: 0.1, output: 0.5 },
  },
};
