import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { zipSync } from "fflate";
import { type FunctionName, functionNames } from "../../infra/bundle";
import type { AwsResource } from "../../local/aws/support/account";

/** Most bytes of each function's archive, zipped. */
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
};

/** Which function a resource is: without the suffix of an automatic name, or what stands before a fixed one. */
export function functionName({ outputs }: AwsResource): FunctionName {
  const name = String(outputs.name)
    .replace(/-[0-9a-f]{7}$/, "")
    .replace(/^.*-/, "");
  const found = functionNames.find((one) => one === name);
  if (!found) throw new Error(`${outputs.name} is no function of the program`);
  return found;
}

/** Where the local cloud has unpacked a function's archive. `dir` is the cloud's. */
export function packageFolder(dir: string, { id, outputs }: AwsResource): string {
  return join(dir, "aws", "functions", id, String(outputs.sourceCodeHash));
}

/** Bytes of a folder zipped, as it would be uploaded. */
export function zippedBytes(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const entries = files.map((entry) => {
    const file = join(entry.parentPath, entry.name);
    return [relative(folder, file), new Uint8Array(readFileSync(file))];
  });
  return zipSync(Object.fromEntries(entries), { level: 9 }).length;
}
