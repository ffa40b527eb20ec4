import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { root } from "../../cli/root";

const worker = path.join(root, "images", "worker");
const rootVenv = path.join(root, ".venv");
const systemPythons = ["python3.11", "python3", "python", "python3.12", "python3.13", "python3.14"];

/** Folders of the Python packages. The worker's environment has the tools for both. */
export const pythonPackages = { worker: "images/worker", training: "training" } as const;
export type PythonPackage = keyof typeof pythonPackages;
export const pythonPackageNames = Object.keys(pythonPackages) as PythonPackage[];

/** Result of a set-up. `skipped`: this machine has no suitable Python. `failed`: a step of the set-up failed. */
export interface PythonSetup {
  status: "ready" | "failed" | "skipped";
  /** Explanation in one line. Contains the next step when the environment is not ready. */
  detail: string;
}

/**
 * Returns the interpreter of the worker's environment. Undefined when the environment does not exist or is older than the
 * worker's dependencies.
 */
export function findVenvPython(venv = rootVenv): string | undefined {
  const python = interpreterOf(venv);
  const stamp = stampOf(venv);
  const isReady = existsSync(python) && existsSync(stamp) && readFileSync(stamp, "utf8") === dependencyHash();
  return isReady ? python : undefined;
}

/**
 * Creates `.venv` with the worker and its tools. Does nothing when `.venv` is up to date.
 *
 * @param progress called with a line at the start of each step
 * @param activity called about once a second with pip's current package and the seconds since the start of pip
 */
export async function setupPython(
  progress: (line: string) => void,
  activity?: (text: string) => void,
  venv = rootVenv,
): Promise<PythonSetup> {
  if (findVenvPython(venv)) return { status: "ready", detail: `${venv} is up to date` };
  const system = findSystemPython();
  if (!system) {
    const tried = systemPythons.join(", ");
    return { status: "skipped", detail: `no Python 3.11 to 3.14 on the PATH (tried ${tried}). Install one` };
  }
  const hash = dependencyHash();
  progress(`creating ${path.relative(root, venv)} with ${system}`);
  if ((await execute(system, ["-m", "venv", venv])) !== 0) {
    const detail = `${system} cannot create virtual environments. Install the module venv (Debian: apt install python3-venv)`;
    return { status: "skipped", detail };
  }
  progress("installing the worker and its tools (only the first time, about a minute)");
  const lock = path.join(worker, "requirements.lock");
  const error = await pipInstall(interpreterOf(venv), ["--constraint", lock, "--editable", `${worker}[dev]`], activity);
  if (error) return { status: "failed", detail: `${error}. Try again: npm run python -- setup` };
  writeFileSync(stampOf(venv), hash);
  return { status: "ready", detail: `${venv} is ready` };
}

/**
 * Runs `pip install`.
 *
 * @param activity called about once a second with pip's current package and the seconds since the start of pip
 * @returns the error in one line, or undefined after a success
 */
export async function pipInstall(
  python: string,
  args: string[],
  activity: (text: string) => void = () => {},
): Promise<string | undefined> {
  const options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"];
  const child = spawn(python, ["-m", "pip", "install", ...options, ...args], {
    cwd: worker,
    // pip starts a second pip to build packages. Only environment variables reach the second pip.
    env: { ...process.env, PIP_RETRIES: "2" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const startedAt = Date.now();
  let current = "pip is starting";
  const show = () => activity(`${current} (${Math.round((Date.now() - startedAt) / 1000)} s)`);
  const ticking = setInterval(show, 1000);
  createInterface(child.stdout).on("line", (line) => {
    current = pipActivity(line) ?? current;
    show();
  });
  const errors: string[] = [];
  createInterface(child.stderr).on("line", (line) => errors.push(line));
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (exitCode) => resolve(exitCode ?? 1));
  }).finally(() => clearInterval(ticking));
  if (code === 0) return undefined;
  const reason = errors.flatMap((line) => /^\s*ERROR: (.+?)\.?$/.exec(line)?.[1] ?? []).at(-1) ?? `exit code ${code}`;
  const isOffline = errors.some((line) => line.includes("connection broken by"));
  return isOffline ? `pip cannot reach the package index (${reason})` : `pip failed: ${reason}`;
}

/** Short text for a line of pip's output. Undefined for a line that names no package. */
function pipActivity(line: string): string | undefined {
  const installing = /^Installing collected packages: (.+)$/.exec(line)?.[1];
  if (installing) return `installing ${installing.split(", ").length} packages`;
  const [, verb, name] =
    /^\s*(Collecting|Downloading|Using cached|Building wheel for) ([a-z][\w.]*(?:-[a-z][\w.]*)*)/i.exec(line) ?? [];
  return verb && name && `${verb.toLowerCase()} ${name}`;
}

/**
 * Runs a command and returns its exit code. Its output goes to stderr, because stdout is for `--json`.
 *
 * @param cwd working folder. Default: the worker's
 */
export function execute(file: string, args: string[], cwd = worker): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, stdio: ["ignore", process.stderr, process.stderr] });
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

/** Path of an environment's Python interpreter. */
export function interpreterOf(venv: string): string {
  return path.join(venv, ...(process.platform === "win32" ? ["Scripts", "python.exe"] : ["bin", "python"]));
}

/** File with the hash of the dependencies that an environment was created from. */
function stampOf(venv: string): string {
  return path.join(venv, "snack-worker.stamp");
}

/**
 * Hash of the worker's dependencies and of the worker's path. The path is included, because an environment refers to
 * it.
 */
function dependencyHash(): string {
  const hash = createHash("sha256").update(worker);
  for (const file of ["pyproject.toml", "requirements.lock"]) hash.update(readFileSync(path.join(worker, file)));
  return hash.digest("hex");
}

/** The first Python on the PATH that the worker's `requires-python` allows. */
export function findSystemPython(): string | undefined {
  const version = "import sys; print(*sys.version_info[:2])";
  return systemPythons.find((name) => {
    const { stdout } = spawnSync(name, ["-c", version], { encoding: "utf8", timeout: 10_000 });
    const [major, minor] = (stdout ?? "").trim().split(" ").map(Number);
    return major === 3 && minor !== undefined && minor >= 11 && minor < 15;
  });
}
