import { spawnSync } from "node:child_process";
import { findVenvPython } from "../../local/support/pythonEnvironment";

/** Programs needed to build and start an image. The values are their Debian packages. */
const requiredPrograms = {
  buildah: "buildah",
  debootstrap: "debootstrap",
  unshare: "util-linux",
  chroot: "coreutils",
};

/**
 * Returns the reason why this machine cannot build images with --cpu, and the fix. Returns undefined when the machine
 * can build images.
 */
export function cpuObstacle(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64")
    return `--cpu needs Linux on x86-64, but this machine is ${process.platform} on ${process.arch}`;
  if (process.getuid?.() !== 0) return "--cpu needs root for chroot and mounts: run sudo npm run images:build -- --cpu";
  const missing = Object.entries(requiredPrograms).filter(([name]) => !succeeds(name, "--version"));
  if (missing.length > 0) {
    const names = missing.map(([name]) => name).join(" and ");
    return `${names} not found: on Debian, run apt install ${missing.map(([, debianPackage]) => debianPackage).join(" ")}`;
  }
  if (!succeeds("unshare", "--mount", "--pid", "--fork", "true"))
    return "--cpu needs to mount file systems: give this container the capability SYS_ADMIN";
  if (!findVenvPython()) return "the worker's Python environment is missing: run npm run python -- setup";
  return undefined;
}

function succeeds(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: "ignore", timeout: 10_000 }).status === 0;
}
