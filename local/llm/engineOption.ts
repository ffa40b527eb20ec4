import { Option } from "commander";

/** LLM engines that can generate replies on this machine. */
const engineNames = ["scripted", "ollama", "llama", "vllm"] as const;
export type EngineName = (typeof engineNames)[number];

/** An LLM engine by its name, or the engine llama with the model in a GGUF file. */
export type EngineChoice = EngineName | { gguf: string };

/** The option `--engine` of commands that start the local cloud. */
export const engineOption = (): Option =>
  new Option(
    "--engine <name>",
    "LLM engine of the workers (default: ollama if it is running, otherwise scripted)",
  ).choices(engineNames);
