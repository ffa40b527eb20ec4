import { Option } from "commander";

/**
 * Creates the option `--config <path=value>`. It can be repeated, and its value is a list for `parseOverrides`.
 *
 * @param description the effect of the option
 */
export function configOption(description: string): Option {
  return new Option("--config <path=value>", `${description} (repeat it for more changes)`)
    .argParser((value, list: string[]) => [...list, value])
    .default([]);
}
