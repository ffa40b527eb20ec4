import { isDeepStrictEqual } from "node:util";
import { configKeys } from "../../infra/configKeys";
import { type PlainConfig, secretKeys } from "../../infra/configSchema";
import type { StackFile } from "./stackFile";

/** A setting that differs between two stacks. Secret values are never part of it. */
export interface Difference {
  key: string;
  /** Value in the checked stack; undefined when it is not set. */
  value: unknown;
  /** Value in the stack that it is compared with. */
  against: unknown;
  /** Meaning of the setting, from the configuration's reference. */
  meaning: string;
}

/** Lists every setting whose value differs, with its default value where a file does not set it. */
export function differences(file: StackFile, against: StackFile): Difference[] {
  return [
    ...plainDifferences(file.config, against.config),
    ...awsDifferences(file, against),
    ...secretDifferences(file, against),
  ];
}

function plainDifferences(one: PlainConfig | undefined, other: PlainConfig | undefined): Difference[] {
  const [values, others] = [leavesOf(one), leavesOf(other)];
  const meanings = new Map(configKeys().map(({ path, kind, meaning }) => [kind ? `${path}.kind` : path, meaning]));
  const keys = [...new Set([...values.keys(), ...others.keys()])];
  return keys
    .filter((key) => !isDeepStrictEqual(values.get(key), others.get(key)))
    .map((key) => ({ key, value: values.get(key), against: others.get(key), meaning: meaningOf(key, meanings) }));
}

/** The meaning of a key, else that of the object around it. */
function meaningOf(key: string, meanings: ReadonlyMap<string, string>): string {
  const parent = key.slice(0, Math.max(0, key.lastIndexOf(".")));
  return meanings.get(key) ?? (parent ? meaningOf(parent, meanings) : "");
}

/** Values by path, such as `phi3.workersMax`. A list is one value. */
export function leavesOf(value: unknown, path = ""): Map<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return new Map(value === undefined ? [] : [[path, value]]);
  }
  const entries = Object.entries(value).flatMap(([key, inner]) => [...leavesOf(inner, path ? `${path}.${key}` : key)]);
  return new Map(entries);
}

function awsDifferences({ aws: values }: StackFile, { aws: others }: StackFile): Difference[] {
  return [...new Set([...values.keys(), ...others.keys()])]
    .filter((key) => !isDeepStrictEqual(values.get(key), others.get(key)))
    .map((key) => ({ key, value: values.get(key), against: others.get(key), meaning: awsMeaning(key) }));
}

function awsMeaning(key: string): string {
  if (key.startsWith("aws:defaultTags.")) return "Tag of every AWS resource of the stack.";
  return awsMeanings[key] ?? "Setting of Pulumi's AWS provider.";
}

const awsMeanings: Record<string, string> = {
  "aws:region": "AWS Region of the stack.",
  "aws:profile": "Profile of the AWS credentials.",
  "aws:allowedAccountIds": "AWS accounts in which Pulumi may deploy the stack.",
};

function secretDifferences({ secrets }: StackFile, { secrets: others }: StackFile): Difference[] {
  const shown = (list: string[], key: string) => (list.includes(key) ? "(secret)" : undefined);
  return Object.entries(secretKeys)
    .filter(([key]) => secrets.includes(key) !== others.includes(key))
    .map(([key, meaning]) => ({ key, value: shown(secrets, key), against: shown(others, key), meaning }));
}
