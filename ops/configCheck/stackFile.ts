import { checkConfig } from "../../infra/checkConfig";
import { type PlainConfig, parseAwsConfig, placeholderOf, secretKeys } from "../../infra/configSchema";
import { readStackConfig, type StackConfig } from "../../local/support/stackConfig";
import { configKey, stackTags } from "../../names";

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
  /** Values of Pulumi's AWS provider, by path. Values that may be secret are replaced. */
  aws: Map<string, unknown>;
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
  return { file: { stack, ...checked, secrets, aws: awsValues(stack, given) }, given };
}

/** Keys of the AWS provider whose values are no secrets. */
const openAwsKeys = ["aws:region", "aws:profile", "aws:allowedAccountIds", "aws:forbiddenAccountIds"];

/** The tags that every stack must have are left out: they always differ. */
function awsValues(stack: string, { values, encryptedKeys }: StackConfig): Map<string, unknown> {
  const keys = [...Object.keys(values), ...encryptedKeys].filter((key) => key.startsWith("aws:"));
  const { tags } = parseAwsConfig((key) => values[`aws:${key}`]);
  const own = Object.entries(tags).filter(([name]) => !(name in stackTags(stack)));
  return new Map<string, unknown>([
    ...keys
      .filter((key) => key !== "aws:defaultTags")
      .map((key): [string, unknown] => [key, openAwsKeys.includes(key) ? plain(values[key]) : "(not shown)"]),
    ...own.map(([name, value]): [string, unknown] => [`aws:defaultTags.tags.${name}`, value]),
  ]);
}

/** A list, which Pulumi stores as JSON, or the text itself. */
function plain(text: string | undefined): unknown {
  return text?.startsWith("[") ? JSON.parse(text) : text;
}
