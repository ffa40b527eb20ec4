import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { zipSync } from "fflate";
import { type FunctionName, functionNames } from "../../infra/bundle";
import type { AwsResource } from "../../local/aws/support/account";

/** Largest allowed size of each function's zipped archive, in bytes. */
export const budgets: Record<FunctionName, number> = {
  session: 150_000,
  guest: 150_000,
  plan: 150_000,
  checkout: 250_000,
  portal: 250_000,
  sync: 250_000,
  webhook: 250_000,
  reconciler: 250_000,
  registryRefresh: 250_000,
  admin: 250_000,
  poller: 250_000,
  canary: 250_000,
  // The archive contains the SDKs of all external LLMs.
  relay: 450_000,
};

/**
 * Name of the program's function that a Lambda resource runs: the resource's name without the stack's prefix or the
 * random suffix.
 */
export function functionName({ outputs }: AwsResource): FunctionName {
  const name = String(outputs.name)
    .replace(/-[0-9a-f]{7}$/, "")
    .replace(/^.*-/, "");
  const found = functionNames.find((one) => one === name);
  if (!found) throw new Error(`${outputs.name} is not a function of the program`);
  return found;
}

/** Folder in which the local cloud has unpacked a function's archive. `dir` is the local cloud's folder. */
export function packageFolder(dir: string, { id, outputs }: AwsResource): string {
  return join(dir, "aws", "functions", id, String(outputs.sourceCodeHash));
}

/** Size in bytes of a folder when zipped for the upload. */
export function zippedBytes(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const entries = files.map((entry) => {
    const file = join(entry.parentPath, entry.name);
    return [relative(folder, file), new Uint8Array(readFileSync(file))];
  });
  return zipSync(Object.fromEntries(entries), { level: 9 }).length;
}
