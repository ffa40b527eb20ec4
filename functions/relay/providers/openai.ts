import type { Provider } from "../../core/relay/provider";
import type { ProviderSource } from ".";
import { thinkingTokens } from "./modelTraits";
import { createCompatible } from "./openaiCompatible";

/**
 * OpenAI's own models. With another `OPENAI_BASE_URL`, the models may be from other vendors. They get only the common
 * parameters.
 */
const ownModel = /^(?:ft:)?(?:gpt-(?!oss)|chatgpt-|o\d)/;

/**
 * OpenAI, or a compatible server such as Ollama, through the Chat Completions API. Environment: `OPENAI_MODEL`,
 * `OPENAI_EFFORT` (`none` turns thinking off) and `OPENAI_BASE_URL`.
 */
export function create(source: ProviderSource): Provider {
  const { OPENAI_MODEL: model = "", OPENAI_EFFORT: effort, OPENAI_BASE_URL } = source.env;
  const isOwn = ownModel.test(model);
  return createCompatible({
    name: "openai",
    model,
    effort,
    baseURL: OPENAI_BASE_URL || "https://api.openai.com/v1",
    source,
    parameters: ({ maxTokens, userHash }) => {
      const max = maxTokens + thinkingTokens(model, effort);
      if (!isOwn) return { max_tokens: max };
      return { max_completion_tokens: max, prompt_cache_key: userHash, safety_identifier: userHash };
    },
  });
}
