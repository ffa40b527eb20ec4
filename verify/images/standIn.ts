import { chmodSync, cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../cli/root";
import { execute } from "./execute";

/** On PyPI, as the vLLM image has it: what a Dockerfile makes the worker's environment with. */
const UV = "uv==0.13.9";

/** Commands of vLLM's image, each run by the module of the worker's tests that stands in for it. */
const commands = {
  // At that time there is no worker yet.
  hf: "/usr/bin/python3 -m tests.hf_command",
  // Its engine needs what the worker's environment has.
  vllm: "/worker/bin/python -m tests.vllm_command",
};

/**
 * What vLLM's image has that our Dockerfiles use, in a folder to lay over a Debian: `uv` itself, and stand-ins for `hf` and
 * `vllm`.
 *
 * @param dir where it is made
 * @param python an interpreter with pip
 */
export async function makeStandIn(dir: string, python: string, signal: AbortSignal): Promise<string> {
  const uv = join(dir, UV);
  if (!existsSync(join(uv, "bin/uv"))) {
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
    await execute(python, [...pip, "--only-binary", ":all:", "--target", uv, UV], { signal });
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
  for (const [name, run] of Object.entries(commands)) {
    writeFileSync(join(bin, name), `#!/bin/sh\nPYTHONPATH=/opt/stand-in exec ${run} "$@"\n`);
    chmodSync(join(bin, name), 0o755);
  }
  return folder;
}
