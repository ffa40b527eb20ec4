import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { findVenvPython, setupPython } from "../../local/support/pythonEnvironment";

let dir: string;
let steps: string[];
let activities: string[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "snack-python-"));
  steps = [];
  activities = [];
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true, force: true });
});

const venv = () => join(dir, "venv");
const setup = () =>
  setupPython(
    (line) => steps.push(line),
    (text) => activities.push(text),
    venv(),
  );

/** Puts a fake `python3` on an otherwise empty PATH. Its `pip install` runs the shell commands in the option `pip`. */
function fakePython({ version = "3 12", venvWorks = true, pip = "true" }): void {
  const bin = join(dir, "bin");
  mkdirSync(bin, { recursive: true });
  const script = `#!/bin/sh
case "$1 $2" in
"-c import"*) echo "${version}" ;;
"-m venv") ${venvWorks ? `/bin/mkdir -p "$3/bin" && /bin/cp "$0" "$3/bin/python"` : "exit 1"} ;;
"-m pip") ${pip} ;;
esac
`;
  writeFileSync(join(bin, "python3"), script, { mode: 0o755 });
  vi.stubEnv("PATH", bin);
}

describe("setupPython", () => {
  it("creates the environment only at the first call and reports the steps", async () => {
    fakePython({
      pip: 'echo "Collecting httpx==0.28.1"; echo "  Downloading typing_extensions-4.16.0-py3-none-any.whl"; echo "Installing collected packages: httpx, runpod"',
    });
    expect(findVenvPython(venv())).toBeUndefined();
    expect(await setup()).toMatchObject({ status: "ready" });
    expect(steps).toEqual([
      expect.stringMatching(/^creating .*venv with python3$/),
      expect.stringMatching(/^installing the worker/),
    ]);
    expect(activities).toEqual([
      "collecting httpx (0 s)",
      "downloading typing_extensions (0 s)",
      "installing 2 packages (0 s)",
    ]);
    expect(findVenvPython(venv())).toBe(join(venv(), "bin", "python"));

    steps = [];
    expect(await setup()).toMatchObject({ status: "ready" });
    expect(steps).toEqual([]);
  });

  it.each([["3 10"], ["3 15"], ["2 7"], [""]])(
    "skips the set-up when the only Python has version '%s'",
    async (version) => {
      fakePython({ version });
      expect(await setup()).toEqual({
        status: "skipped",
        detail: expect.stringMatching(/^no Python 3\.11 to 3\.14 on the PATH .*Install one$/),
      });
    },
  );

  it("skips the set-up and names the missing package when Python lacks the module venv", async () => {
    fakePython({ venvWorks: false });
    expect(await setup()).toEqual({ status: "skipped", detail: expect.stringContaining("apt install python3-venv") });
  });

  it("reports that pip cannot reach the package index when there is no connection", async () => {
    const warning = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'";
    fakePython({ pip: `echo "${warning}" >&2; echo "      ERROR: No matching distribution found for x" >&2; exit 1` });
    const reason = "pip cannot reach the package index (No matching distribution found for x)";
    expect(await setup()).toEqual({ status: "failed", detail: `${reason}. Try again: npm run python -- setup` });
  });

  it("reports pip's last error when the installation fails and tries again at the next call", async () => {
    fakePython({
      pip: 'echo "WARNING: Retrying" >&2; echo "ERROR: No matching distribution found for httpx." >&2; exit 1',
    });
    expect(await setup()).toEqual({
      status: "failed",
      detail: "pip failed: No matching distribution found for httpx. Try again: npm run python -- setup",
    });
    expect(findVenvPython(venv())).toBeUndefined();
    fakePython({});
    expect(await setup()).toMatchObject({ status: "ready" });
  });
});
