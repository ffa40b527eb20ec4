import * as z from "zod";
import { models } from "../../contract/plan";

const Tags = z.object({ models: z.array(z.object({ name: z.string() })) });

/**
 * Looks for an Ollama on its usual port that has every model of this product pulled (`ollama pull phi3 mistral`).
 *
 * @param origin where it listens
 * @returns its OpenAI-compatible base URL, or undefined when it is not there within 300 ms or lacks a model
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
