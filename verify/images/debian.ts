import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Execution, execute } from "./execute";

/** The release whose Python is 3.11, the worker's own. */
const SUITE = "bookworm";

/** Nearly half of it, which every build would copy several times. */
const NOT_NEEDED = [
  "var/cache/apt",
  "var/lib/apt/lists",
  ...["doc", "info", "locale", "man"].map((name) => `usr/share/${name}`),
];

/**
 * A minimal Debian with Python 3.11 in a folder, from the mirror that this machine's apt uses. It is made once and kept.
 *
 * @param dir where it is kept
 * @returns the system's root folder
 */
export async function makeDebian(dir: string, progress: (line: string) => void, signal: AbortSignal): Promise<string> {
  const system = join(dir, `debian-${SUITE}`);
  if (existsSync(system)) return system;
  progress(`debootstrap ${SUITE} (about a minute; kept for the next time)`);
  const partial = `${system}.partial`;
  rmSync(partial, { recursive: true, force: true });
  const how: Execution = { signal, logFile: join(dir, "debootstrap.log") };
  const apt = (args: string[], program = "apt-get") => execute(program, args, { signal }).catch(() => "");
  const targets = await apt([
    "indextargets",
    "--format",
    "$(LABEL) $(CODENAME) $(COMPONENT) $(REPO_URI)",
    "Created-By: Packages",
  ]);
  const mirror = mirrorOf(targets);
  const proxy = /^PROXY='(.+)'$/m.exec(await apt(["shell", "PROXY", "Acquire::http::Proxy"], "apt-config"))?.[1];
  await execute(
    "debootstrap",
    // Without a mirror debootstrap has its own.
    ["--variant=minbase", "--include=python3", SUITE, partial, ...(mirror ? [mirror] : [])],
    { ...how, ...(proxy && !process.env.http_proxy && { env: { http_proxy: proxy } }) },
  );
  for (const folder of NOT_NEEDED) rmSync(join(partial, folder), { recursive: true, force: true });
  renameSync(partial, system);
  return system;
}

/** The mirror of Debian's main component in a listing of apt's targets: label, code name, component, URI a line. */
export function mirrorOf(targets: string): string | undefined {
  const lines = targets.split("\n").map((line) => line.split(" "));
  return lines.find(
    ([label, codeName, component]) => label === "Debian" && codeName === SUITE && component === "main",
  )?.[3];
}
