import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildSync } from "esbuild";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { LOCK_ENTRIES, lockFolder } from "../../../local/support/lock";

const scratch = mkdtempSync(join(tmpdir(), "snack-lock-"));
const script = join(scratch, "owner.cjs");
let dir: string;
let owner: ChildProcess | undefined;

beforeAll(() => {
  const lock = JSON.stringify(resolve("local/support/lock"));
  buildSync({
    stdin: {
      contents: `import { LOCK_ENTRIES, lockFolder } from ${lock};
        lockFolder(process.argv[2], "npm start"); console.log("locked"); process.stdin.on("end", () => process.exit()).resume();`,
      resolveDir: resolve("."),
    },
    outfile: script,
    bundle: true,
    platform: "node",
  });
});
beforeEach(() => {
  dir = mkdtempSync(join(scratch, "state-"));
});
afterEach(() => owner?.kill("SIGKILL"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Locks the folder in another process. */
async function lockElsewhere(): Promise<ChildProcess> {
  owner = spawn(process.execPath, [script, dir], { stdio: ["pipe", "pipe", "inherit"] });
  if (owner.stdout) await once(owner.stdout, "data");
  return owner;
}

describe("Folder lock", () => {
  it("rejects a second process and names the process that holds the lock", async () => {
    const { pid } = await lockElsewhere();
    expect(() => lockFolder(dir, "npm start", ", or wait")).toThrow(
      new RegExp(`state-\\w+ is in use by another npm start \\(process ${pid}\\)\\. Stop that process, or wait\\.$`),
    );
  });

  it("can be taken over at once after its owner was killed", async () => {
    const killed = await lockElsewhere();
    killed.kill("SIGKILL");
    await once(killed, "exit");
    expect(existsSync(join(dir, "pid"))).toBe(true);
    lockFolder(dir, "npm start");
  });

  it("is released when its owner exits", async () => {
    const exiting = await lockElsewhere();
    exiting.stdin?.end();
    await once(exiting, "exit");
    expect(existsSync(join(dir, "pid"))).toBe(false);
    lockFolder(dir, "npm start");
  });

  it("can be taken over when the pid of its killed owner now belongs to another process", () => {
    writeFileSync(join(dir, "pid"), String(process.ppid));
    lockFolder(dir, "npm start");
  });

  it("stays held while its owner is stopped for longer than a minute, as in a debugger", async () => {
    const stopped = await lockElsewhere();
    stopped.kill("SIGSTOP");
    const hourAgo = new Date(Date.now() - 3_600_000);
    for (const entry of LOCK_ENTRIES) utimesSync(join(dir, entry), hourAgo, hourAgo);
    expect(() => lockFolder(dir, "npm start")).toThrow("in use by another npm start");
  });
});
