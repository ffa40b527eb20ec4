import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** Names of the entries that a lock creates in its folder. */
export const LOCK_ENTRIES: readonly string[] = ["lock.db", "pid"];

/** `errcode` of SQLITE_BUSY. */
const BUSY = 5;

/** Open databases of this process. A database that the garbage collector closes would release its lock. */
const held: DatabaseSync[] = [];

/**
 * Locks a folder of local state until this process ends. The lock is an exclusive transaction of an SQLite file, and so
 * a file lock of the operating system. The system releases the lock even when the process crashes, so a lock is never
 * stale.
 *
 * @param owner the command that locks the folder, for the error
 * @param alternative end of the error message, such as ", or choose another folder"
 * @throws Error with the folder, the owner of the lock, and the next step
 */
export function lockFolder(dir: string, owner: string, alternative = ""): void {
  mkdirSync(dir, { recursive: true });
  const folder = relative(process.cwd(), dir) || dir;
  const [lock = "", pidFile = ""] = LOCK_ENTRIES.map((entry) => join(dir, entry));
  const database = new DatabaseSync(lock, { timeout: 0 });
  try {
    database.exec("BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    if ((cause as { errcode?: number }).errcode !== BUSY) throw cause;
    const pid = readPid(pidFile);
    const id = pid === undefined ? "" : ` (process ${pid})`;
    throw new Error(`${folder} is in use by another ${owner}${id}. Stop that process${alternative}.`, { cause });
  }
  held.push(database);
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
