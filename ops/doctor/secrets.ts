import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** A stack and the folder of its file. */
interface Stack {
  stack: string;
  programDir: string;
}

/** A stack's values by key, as its file shows them. */
interface Given {
  plain(key: string): string | undefined;
  isEncrypted(key: string): boolean;
}

/** A secret; `unread` when it is set but could not be read; undefined when it is not set. */
export type Secret = { key: string } | "unread" | undefined;

/** Next step when the doctor cannot read a secret, or the secret is not set. */
export function secretTodo(secret: "unread" | undefined, key: string, variable: string, stack: string): string {
  if (secret === "unread") return `Set ${variable} in the environment, or sign in with Pulumi.`;
  return `Run: pulumi config set --secret ${key} --stack ${stack}, then pulumi up. For the doctor alone, set ${variable}.`;
}

const PULUMI_TIMEOUT_MS = 20_000;

/** Reads a stack's secrets from the environment, else from the stack's file, else through the pulumi command. */
export function secretReader(of: Stack, { plain, isEncrypted }: Given, env: NodeJS.ProcessEnv) {
  return async (key: string, variable: string): Promise<Secret> => {
    const known = env[variable] || plain(key);
    if (known) return { key: known };
    if (!isEncrypted(key)) return undefined;
    const decrypted = await throughPulumi(of, key, env);
    return decrypted ? { key: decrypted } : "unread";
  };
}

/** Runs `pulumi config get`. Undefined when Pulumi is not installed, not signed in, or too slow. */
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
