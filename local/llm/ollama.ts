import * as z from "zod";
import { models } from "../../contract/plan";

const Tags = z.object({ models: z.array(z.object({ name: z.string() })) });

/**
 * Looks for an Ollama on its default port that has every model of this product (`ollama pull <model>`).
 *
 * @param origin origin of Ollama's HTTP API
 * @returns Ollama's OpenAI-compatible base URL. Undefined when Ollama does not answer within 300 ms or lacks a model
 */
export async function findOllama(origin = "http://127.0.0.1:11434"): Promise<string | undefined> {
  try {
    const response = await fetch(`${origin}/api/tags`, { signal: AbortSignal.timeout(300) });
    const pulled = Tags.parse(await response.json()).models.map(({ name }) => name.split(":")[0]);
    return models.every((model) => pulled.includes(model)) ? `${origin}/v1` : undefined;
  } catch {
    return undefined;
  }
}
