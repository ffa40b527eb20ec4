import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** A stack, and where its file is. */
interface Stack {
  stack: string;
  programDir: string;
}

/** A stack's values by key, as far as its file shows them. */
interface Given {
  plain(key: string): string | undefined;
  isEncrypted(key: string): boolean;
}

/** A secret; `unread` for one that is set but was not to be had; undefined for none. */
type Secret = { key: string } | "unread" | undefined;

const PULUMI_TIMEOUT_MS = 20_000;

/** Reads a stack's secrets: each from the environment, else from the stack's file, else with Pulumi's own command. */
export function secretReader(of: Stack, { plain, isEncrypted }: Given, env: NodeJS.ProcessEnv) {
  return async (key: string, variable: string): Promise<Secret> => {
    const known = env[variable] || plain(key);
    if (known) return { key: known };
    if (!isEncrypted(key)) return undefined;
    const decrypted = await throughPulumi(of, key, env);
    return decrypted ? { key: decrypted } : "unread";
  };
}

/** What `pulumi config get` says; undefined when it is not installed, not signed in or not quick enough. */
async function throughPulumi(
  { stack, programDir }: Stack,
  key: string,
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const args = ["config", "get", key, "--stack", stack, "--non-interactive"];
  try {
    const { stdout } = await promisify(execFile)("pulumi", args, { cwd: programDir, env, timeout: PULUMI_TIMEOUT_MS });
    return stdout.trim() || undefined;
  } catch {
    return undefined;
  }
}
