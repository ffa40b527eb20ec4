import { Option } from "commander";

/** What can answer on this machine. */
const engineNames = ["scripted", "ollama", "llama"] as const;
export type EngineName = (typeof engineNames)[number];

/** The option of a command that starts the local cloud. */
export const engineOption = (): Option =>
  new Option("--engine <name>", "what answers (default: ollama where it is found, else scripted)").choices(engineNames);
