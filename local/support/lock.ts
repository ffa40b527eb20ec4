import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";

/**
 * Takes a folder of local state for this process, until it exits. What a process left behind that is gone is taken over.
 *
 * @param by the command that takes it
 * @param instead what can be done other than to stop the one that has it
 * @throws Error that names the folder, who has it, and what to do
 */
export function lockFolder(
  dir: string,
  by = "npm start",
  instead = ", or add --free-ports --dir <another folder>",
): void {
  const file = join(dir, "pid");
  mkdirSync(dir, { recursive: true });
  const holder = read(file);
  if (holder !== undefined && isAlive(holder)) {
    const folder = relative(process.cwd(), dir) || dir;
    throw new Error(`${folder} is in use by another ${by} (process ${holder}). Stop that one${instead}.`);
  }
  writeFileSync(file, String(process.pid));
  process.once("exit", () => rmSync(file, { force: true }));
}

function read(file: string): number | undefined {
  try {
    return Number(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Someone else's process is alive too.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
