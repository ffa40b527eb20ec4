import { chmodSync, cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../cli/root";
import { runProgram } from "./runProgram";

/** PyPI package of uv, which is part of vLLM's image. The Dockerfile creates the worker's environment with uv. */
const UV = "uv==0.13.9";

/** Commands of vLLM's image. Each command runs a stand-in from the worker's tests. */
const standIns = {
  // `hf` runs before the worker's environment exists.
  hf: "/usr/bin/python3 -m tests.hf_command",
  // `vllm` needs the packages of the worker's environment.
  vllm: "/worker/bin/python -m tests.vllm_command",
};

/**
 * Creates a folder with the programs of vLLM's image that our Dockerfile uses: the real `uv`, and stand-ins for `hf`
 * and `vllm`. When this folder is copied over a Debian system, the result can replace vLLM's image.
 *
 * @param dir parent of the folder
 * @param python an interpreter with pip
 */
export async function makeEngineStandIn(dir: string, python: string, signal: AbortSignal): Promise<string> {
  const uv = join(dir, UV);
  if (!existsSync(join(uv, "bin/uv"))) {
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
    await runProgram(python, [...pip, "--only-binary", ":all:", "--target", uv, UV], { signal });
  }
  const folder = join(dir, "stand-in");
  const bin = join(folder, "usr/local/bin");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(bin, { recursive: true });
  cpSync(join(uv, "bin/uv"), join(bin, "uv"));
  cpSync(join(root, "images/worker/tests"), join(folder, "opt/stand-in/tests"), {
    recursive: true,
    filter: (file) => !file.includes("__pycache__"),
  });
  for (const [name, commandLine] of Object.entries(standIns)) {
    writeFileSync(join(bin, name), `#!/bin/sh\nPYTHONPATH=/opt/stand-in exec ${commandLine} "$@"\n`);
    chmodSync(join(bin, name), 0o755);
  }
  return folder;
}
