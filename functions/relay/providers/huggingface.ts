import type { Provider } from "../../core/relay/provider";
import type { ProviderSource } from ".";
import { thinkingTokens } from "./modelTraits";
import { createCompatible } from "./openaiCompatible";

/**
 * Open models through Hugging Face's router, which has OpenAI's Chat Completions API. Environment: `HUGGINGFACE_MODEL`
 * (`<owner>/<model>`, or `<owner>/<model>:<provider>`), `HUGGINGFACE_EFFORT` and `HUGGINGFACE_BASE_URL`.
 */
export function create(source: ProviderSource): Provider {
  const { HUGGINGFACE_MODEL: model = "", HUGGINGFACE_EFFORT: effort, HUGGINGFACE_BASE_URL } = source.env;
  return createCompatible({
    name: "huggingface",
    model,
    effort,
    baseURL: HUGGINGFACE_BASE_URL || "https://router.huggingface.co/v1",
    source,
    parameters: ({ maxTokens }) => ({ max_tokens: maxTokens + thinkingTokens(model, effort) }),
  });
}
