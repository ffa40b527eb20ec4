import { spawnSync } from "node:child_process";
import { findVenvPython } from "../../local/support/pythonEnvironment";

/** Programs that an image is built and started with, and the Debian package of each. */
const programs = { buildah: "buildah", debootstrap: "debootstrap", unshare: "util-linux", chroot: "coreutils" };

/** Why this machine cannot build images without docker and a GPU, and what to do about it; undefined when it can. */
export function cpuObstacle(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64")
    return `it needs Linux on x86-64, this is ${process.platform} on ${process.arch}`;
  if (process.getuid?.() !== 0) return "it needs root, for chroot and mounts (sudo npm run images:build -- --cpu)";
  const missing = Object.entries(programs).filter(([name]) => !works(name, "--version"));
  if (missing.length > 0)
    return `${missing.map(([name]) => name).join(" and ")} not found (Debian: apt install ${missing.map(([, name]) => name).join(" ")})`;
  if (!works("unshare", "--mount", "--pid", "--fork", "true"))
    return "root may not mount here (a container without the capability SYS_ADMIN)";
  if (!findVenvPython()) return "the worker's environment is not set up (npm run python -- setup)";
  return undefined;
}

function works(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: "ignore", timeout: 10_000 }).status === 0;
}
