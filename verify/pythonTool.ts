import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "../cli/root";
import { execute, findSystemPython, interpreterOf, pipInstall } from "../local/support/pythonEnvironment";

/** A tool in a separate Python environment, or the reason why this machine cannot install the tool. */
export type PythonTool = { python: string } | { missing: string };

/**
 * Installs a tool from PyPI into `.build/<name>` on the first call, and after a change of the version.
 *
 * @param progress called with one line when a step begins
 */
export async function setUpPythonTool(
  { name, version }: { name: string; version: string },
  progress: (line: string) => void,
): Promise<PythonTool> {
  const venv = join(root, ".build", name);
  const stamp = join(venv, `${name}-${version}.stamp`);
  const python = interpreterOf(venv);
  if (existsSync(stamp)) return { python };
  const system = findSystemPython();
  if (!system) return { missing: "no Python 3.11 to 3.14 on the PATH" };
  progress(`creating ${venv} with ${name} ${version} (only the first time)`);
  mkdirSync(dirname(venv), { recursive: true });
  if ((await execute(system, ["-m", "venv", "--clear", venv])) !== 0)
    return { missing: `${system} cannot create virtual environments (Debian: apt install python3-venv)` };
  const error = await pipInstall(python, [`${name}==${version}`]);
  if (error) return { missing: error };
  writeFileSync(stamp, "");
  return { python };
}
