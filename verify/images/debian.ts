import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "./runProgram";

/** Debian release with Python 3.11, the worker's version. */
const SUITE = "bookworm";

/**
 * Folders that the worker does not need. They take up nearly half of the system, and every build copies the system
 * several times.
 */
const REMOVED_FOLDERS = [
  "var/cache/apt",
  "var/lib/apt/lists",
  ...["doc", "info", "locale", "man"].map((name) => `usr/share/${name}`),
];

/**
 * Creates a minimal Debian system with Python 3.11 from the mirror that this machine's apt uses. Later calls reuse the
 * system.
 *
 * @param dir folder that keeps the system
 * @returns the system's root folder
 */
export async function makeDebian(dir: string, progress: (line: string) => void, signal: AbortSignal): Promise<string> {
  const system = join(dir, `debian-${SUITE}`);
  if (existsSync(system)) return system;
  progress(`creating Debian ${SUITE} with debootstrap (about a minute; later builds reuse this system)`);
  const partial = `${system}.partial`;
  rmSync(partial, { recursive: true, force: true });
  const mirror = mirrorOf(
    await aptOutput(
      "apt-get",
      ["indextargets", "--format", "$(LABEL) $(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"],
      signal,
    ),
  );
  const proxySetting = await aptOutput("apt-config", ["shell", "PROXY", "Acquire::http::Proxy"], signal);
  const proxy = /^PROXY='(.+)'$/m.exec(proxySetting)?.[1];
  await runProgram(
    "debootstrap",
    // Without a mirror, debootstrap uses its default mirror.
    ["--variant=minbase", "--include=python3", SUITE, partial, ...(mirror ? [mirror] : [])],
    {
      signal,
      logFile: join(dir, "debootstrap.log"),
      ...(proxy && !process.env.http_proxy && { env: { http_proxy: proxy } }),
    },
  );
  for (const folder of REMOVED_FOLDERS) rmSync(join(partial, folder), { recursive: true, force: true });
  renameSync(partial, system);
  return system;
}

/** Returns the output of an apt program, or an empty text when the program fails. Not every Linux has apt. */
function aptOutput(program: string, args: string[], signal: AbortSignal): Promise<string> {
  return runProgram(program, args, { signal }).catch(() => "");
}

/** Finds the mirror of Debian's main component in apt's index targets. Each line is `label codeName component uri`. */
export function mirrorOf(targets: string): string | undefined {
  const lines = targets.split("\n").map((line) => line.split(" "));
  return lines.find(
    ([label, codeName, component]) => label === "Debian" && codeName === SUITE && component === "main",
  )?.[3];
}
