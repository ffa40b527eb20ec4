import type { Events } from "../support/events";
import { startScriptedEngine } from "./engine";
import type { EngineName } from "./engineOption";
import { startLlama } from "./llama";
import { findOllama } from "./ollama";

/** An engine that workers can call. */
export interface RunningEngine {
  name: EngineName;
  /** OpenAI-compatible base URL, with `/v1`. */
  url: string;
  close(): Promise<void>;
}

/**
 * Starts the engine of this name or finds it running; without a name, Ollama where it has this product's models, else the
 * scripted one.
 *
 * @param say called with a line of progress
 * @throws Error saying why that engine cannot be had
 */
export async function startEngine(
  wanted: EngineName | undefined,
  events: Events,
  say: (line: string) => void,
): Promise<RunningEngine> {
  if (wanted === "llama") {
    const llama = await startLlama(say);
    return { ...llama, name: "llama", url: `${llama.url}/v1` };
  }
  const ollama = wanted === "scripted" ? undefined : await findOllama();
  if (ollama) return { name: "ollama", url: ollama, close: async () => {} };
  if (wanted === "ollama")
    throw new Error("There is no Ollama on port 11434 with both models: ollama pull phi3 && ollama pull mistral");
  const scripted = await startScriptedEngine({ port: 0, events });
  return { name: "scripted", url: `${scripted.url}/v1`, close: scripted.close };
}
