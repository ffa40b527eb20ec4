import { models } from "../../contract/plan";
import type { Events } from "../support/events";
import type { EngineChoice, EngineName } from "./engineOption";
import { startLlama } from "./llama";
import { findOllama } from "./ollama";
import { startScriptedEngine } from "./scriptedEngine";
import { startVllm } from "./vllm";

/** A running LLM engine that workers can call. */
export interface RunningEngine {
  name: EngineName;
  /** OpenAI-compatible base URL, with `/v1`. */
  url: string;
  /** Describes the state of an engine on the CPU, for the error of a failed chat. */
  describe?(): string;
  close(): Promise<void>;
}

/**
 * Starts or finds an LLM engine.
 *
 * @param choice if undefined, the engine is Ollama when Ollama runs with every model of this product. Otherwise it is
 *   the scripted engine
 * @param progress called with a line at the start of each step
 * @throws Error with the reason and the next step when the engine is not available
 */
export async function startEngine(
  choice: EngineChoice | undefined,
  events: Events,
  progress: (line: string) => void,
): Promise<RunningEngine> {
  if (choice === "llama" || typeof choice === "object") {
    const llama = await startLlama(progress, choice === "llama" ? undefined : choice.gguf);
    return { ...llama, name: "llama", url: `${llama.url}/v1` };
  }
  if (choice === "vllm") {
    const vllm = await startVllm(progress);
    return { ...vllm, name: "vllm", url: `${vllm.url}/v1` };
  }
  const ollama = choice === "scripted" ? undefined : await findOllama();
  if (ollama) return { name: "ollama", url: ollama, close: async () => {} };
  if (choice === "ollama") {
    const commands = models.map((model) => `ollama pull ${model}`).join(" && ");
    throw new Error(`Ollama is not running on port 11434, or a model is missing. Start Ollama, then run: ${commands}`);
  }
  const scripted = await startScriptedEngine({ port: 0, events });
  return { name: "scripted", url: `${scripted.url}/v1`, close: scripted.close };
}
