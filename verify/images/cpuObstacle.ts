import { spawnSync } from "node:child_process";
import { findVenvPython } from "../../local/support/pythonEnvironment";

/** Programs that build and start an image, with the Debian package of each. */
const requiredPrograms = {
  buildah: "buildah",
  debootstrap: "debootstrap",
  unshare: "util-linux",
  chroot: "coreutils",
};

/** Returns why this machine cannot build images with --cpu, and the fix. Returns undefined when it can. */
export function cpuObstacle(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64")
    return `it needs Linux on x86-64, this is ${process.platform} on ${process.arch}`;
  if (process.getuid?.() !== 0) return "it needs root for chroot and mounts (sudo npm run images:build -- --cpu)";
  const missing = Object.entries(requiredPrograms).filter(([name]) => !succeeds(name, "--version"));
  if (missing.length > 0) {
    const names = missing.map(([name]) => name).join(" and ");
    return `${names} not found (Debian: apt install ${missing.map(([, debianPackage]) => debianPackage).join(" ")})`;
  }
  if (!succeeds("unshare", "--mount", "--pid", "--fork", "true"))
    return "root may not mount here (this container lacks the capability SYS_ADMIN)";
  if (!findVenvPython()) return "the worker's environment is missing (npm run python -- setup)";
  return undefined;
}

function succeeds(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: "ignore", timeout: 10_000 }).status === 0;
}
