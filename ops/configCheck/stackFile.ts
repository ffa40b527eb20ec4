import { checkConfig } from "../../infra/checkConfig";
import { type PlainConfig, placeholderOf, secretKeys } from "../../infra/configSchema";
import { readStackConfig, type StackConfig } from "../../local/support/stackConfig";
import { configKey } from "../../names";

/** A stack's file, checked with the rules of the program. Contains no secret. */
export interface StackFile {
  stack: string;
  /** Undefined when the configuration cannot be parsed. */
  config: PlainConfig | undefined;
  /** One line per bad value. */
  problems: string[];
  /** Secrets that the program needs and that the file does not have. */
  missingSecrets: string[];
  /** Secrets that the file has. */
  secrets: string[];
  region: string | undefined;
}

/**
 * Reads and checks `Pulumi.<stack>.yaml`.
 *
 * @throws Error when the file cannot be read
 */
export function readStackFile(programDir: string, stack: string): { file: StackFile; given: StackConfig } {
  const given = readStackConfig(programDir, stack);
  const { values, encryptedKeys } = given;
  const isEncrypted = (key: string) => encryptedKeys.includes(key);
  const withoutNamespace = (key: string) => key.slice(configKey("").length);
  const checked = checkConfig({
    stack,
    keys: [...Object.keys(values), ...encryptedKeys],
    // The value of an encrypted secret is not needed to check the rest.
    get: (key) => values[key] ?? (isEncrypted(key) ? placeholderOf(withoutNamespace(key)) : undefined),
    isEncrypted,
  });
  const secrets = Object.keys(secretKeys).filter((key) => configKey(key) in values || isEncrypted(configKey(key)));
  return { file: { stack, ...checked, secrets, region: values["aws:region"] }, given };
}
