import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root } from "../../cli/root";

const worker = path.join(root, "images", "worker");
const venv = path.join(root, ".venv");
const venvPython = path.join(venv, ...(process.platform === "win32" ? ["Scripts", "python.exe"] : ["bin", "python"]));
const stampFile = path.join(venv, "snack-worker.stamp");

/** What went well or wrong, in one line. `skipped` means that this machine has no Python for it. */
export interface PythonOutcome {
  status: "ready" | "passed" | "failed" | "skipped";
  detail: string;
}

/**
 * Path of the virtual environment's Python when it is ready to run today's worker (`python -m snack_worker`), undefined
 * when `npm run python -- setup` has not been run since the worker's dependencies changed.
 */
export function findVenvPython(): string | undefined {
  const ready = existsSync(venvPython) && existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp();
  return ready ? venvPython : undefined;
}

/**
 * Makes `.venv` with the worker and its tools in it; does nothing when it is there already. `progress` gets each step
 * as it begins. Skips where there is no Python 3.11 to 3.14.
 */
export async function setupPython(progress: (line: string) => void): Promise<PythonOutcome> {
  if (findVenvPython()) return { status: "ready", detail: `${venv} is up to date` };
  const python = findSystemPython();
  if (!python) {
    return { status: "skipped", detail: "no Python 3.11 to 3.14 found (tried python3.11, python3, python)" };
  }
  const madeFrom = stamp();
  progress(`creating ${path.relative(root, venv)} with ${python}`);
  const made = await execute(python, ["-m", "venv", venv]);
  if (made !== 0) {
    return {
      status: "skipped",
      detail: `${python} cannot make virtual environments (Debian: apt install python3-venv)`,
    };
  }
  progress("installing the worker and its tools (a minute or more)");
  const lock = path.join(worker, "requirements.lock");
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  const installed = await execute(venvPython, [...pip, "--constraint", lock, "--editable", `${worker}[dev]`]);
  if (installed !== 0) return { status: "failed", detail: "pip could not install the worker" };
  writeFileSync(stampFile, madeFrom);
  return { status: "ready", detail: `${venv} is ready` };
}

/**
 * Runs the worker's tests, sets the environment up first where needed. `junitFile` also gets the results, as JUnit XML.
 */
export function testPython(progress: (line: string) => void, junitFile?: string): Promise<PythonOutcome> {
  const report = junitFile ? [`--junit-xml=${path.resolve(junitFile)}`] : [];
  return check([["pytest", "--quiet", ...report]], progress);
}

/** Runs ruff (rules and format) and mypy over the worker, sets the environment up first where needed. */
export function lintPython(progress: (line: string) => void): Promise<PythonOutcome> {
  return check([["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]], progress);
}

async function check(commands: string[][], progress: (line: string) => void): Promise<PythonOutcome> {
  const environment = await setupPython(progress);
  if (environment.status !== "ready") return environment;
  for (const [tool = "", ...args] of commands) {
    const name = [tool, ...args].join(" ");
    progress(name);
    const code = await execute(venvPython, ["-m", tool, ...args]);
    if (code !== 0) return { status: "failed", detail: `${name} failed` };
  }
  return { status: "passed", detail: commands.map(([tool]) => tool).join(", ") };
}

/** What the environment is made from: a change to any of it makes a new one. */
function stamp(): string {
  const hash = createHash("sha256").update(worker);
  for (const file of ["pyproject.toml", "requirements.lock"]) hash.update(readFileSync(path.join(worker, file)));
  return hash.digest("hex");
}

/** The first Python on PATH that the worker's `requires-python` allows. */
function findSystemPython(): string | undefined {
  const version = "import sys; print(*sys.version_info[:2])";
  return ["python3.11", "python3", "python"].find((name) => {
    const { stdout } = spawnSync(name, ["-c", version], { encoding: "utf8", timeout: 10_000 });
    const [major, minor] = (stdout ?? "").trim().split(" ").map(Number);
    return major === 3 && minor !== undefined && minor >= 11 && minor < 15;
  });
}

/** Exit code of a command in the worker's folder, its output shown on stderr; stdout is kept for `--json`. */
export function execute(file: string, args: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: worker, stdio: ["ignore", process.stderr, process.stderr] });
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}
