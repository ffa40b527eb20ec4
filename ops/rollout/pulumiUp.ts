import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Runs `pulumi up` in this terminal, where the operator confirms the changes.
 *
 * @returns false when `pulumi` is not installed
 * @throws Error when `pulumi up` fails, or when the operator does not confirm
 */
export async function pulumiUp(stack: string): Promise<boolean> {
  const child = spawn("pulumi", ["up", "--stack", stack], { stdio: "inherit" });
  const code = await once(child, "exit").then(
    ([code]) => code as number | null,
    (error: NodeJS.ErrnoException) => error,
  );
  if (code === 0) return true;
  if (code instanceof Error && code.code === "ENOENT") return false;
  throw new Error(`pulumi up failed: run pulumi up --stack ${stack} again`);
}
