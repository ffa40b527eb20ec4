import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { root } from "../../cli/root";
import { findVenvPython, setupPython } from "../../local/support/pythonEnvironment";

const sources = [join(root, "training/src"), join(root, "images/worker/src")];
const ERROR_LINES = 12;

/**
 * Sets up the worker's environment, which runs every step except the training itself. Returns the path of its Python.
 */
export async function setupWorkerPython(
  progress: (line: string) => void,
  activity: (text: string) => void,
): Promise<string> {
  const { detail } = await setupPython(progress, activity);
  const python = findVenvPython();
  if (!python) throw new Error(`The training package needs Python 3.11 or later: ${detail}`);
  return python;
}

/**
 * Runs a command of the Python package `snack_training`.
 *
 * @param python Python of an environment with the packages that the command needs
 * @param args the command and its arguments
 * @param progress called with each line that the command writes to stderr
 * @returns the JSON object that the command prints, also when its exit code is not 0
 * @throws Error with the last lines of stderr when the command prints no JSON object
 */
export async function runPackage<T>(python: string, args: string[], progress: (line: string) => void): Promise<T> {
  const child = spawn(python, ["-m", "snack_training", ...args], {
    cwd: root,
    env: { ...process.env, PYTHONPATH: sources.join(":"), PYTHONUTF8: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const lines: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  createInterface(child.stderr).on("line", (line) => {
    lines.push(line);
    progress(line);
  });
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (exitCode) => resolve(exitCode ?? 1));
  });
  const json = output.trim().split("\n").at(-1) ?? "";
  if (json.startsWith("{")) return JSON.parse(json) as T;
  throw new Error(
    `The training command ${args[0]} failed with exit code ${code}: ${lines.slice(-ERROR_LINES).join("\n")}`,
  );
}
