import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { lockSync } from "proper-lockfile";

/** Names of the entries that a lock creates in its folder. */
export const LOCK_ENTRIES: readonly string[] = ["lock", "pid"];

/**
 * A lock counts as abandoned when its owner has not refreshed it for this time. The time is long, because a debugger
 * may pause the owner.
 */
const STALE_MS = 60_000;

/**
 * Locks a folder of local state until this process exits. Takes over the lock at once when its owner no longer runs.
 *
 * @param owner the command that locks the folder, for the error
 * @param alternative last part of the error: another solution than stopping the owner
 * @throws Error with the folder, the owner of the lock, and the next step
 */
export function lockFolder(
  dir: string,
  owner = "npm start",
  alternative = ", or add --free-ports --dir <another folder>",
): void {
  mkdirSync(dir, { recursive: true });
  const folder = relative(process.cwd(), dir) || dir;
  const [lock = "", pidFile = ""] = LOCK_ENTRIES.map((entry) => join(dir, entry));
  const pid = readPid(pidFile);
  // A killed process cannot release its lock, and the lock becomes stale only after a minute. So remove the lock now.
  if (pid !== undefined && !isAnotherProcess(pid)) rmSync(lock, { recursive: true, force: true });
  try {
    lockSync(dir, {
      lockfilePath: lock,
      stale: STALE_MS,
      onCompromised: () =>
        process.emitWarning(`${folder} was deleted or locked by another process. Stop this process.`),
    });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ELOCKED") throw cause;
    const id = pid === undefined ? "" : ` (process ${pid})`;
    throw new Error(`${folder} is in use by another ${owner}${id}. Stop that process${alternative}.`, { cause });
  }
  writeFileSync(pidFile, String(process.pid));
  process.once("exit", () => rmSync(pidFile, { force: true }));
}

function readPid(file: string): number | undefined {
  try {
    return Number(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

/**
 * Whether another process runs under `pid`. In a container, a new process can get the same pid as an earlier process,
 * so our own pid does not count.
 */
function isAnotherProcess(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: the process exists and belongs to another user.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
