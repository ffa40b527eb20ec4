import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "../../cli/root";
import { setUpPythonTool } from "../../verify/pythonTool";

/** A linter of GitHub workflows. `missing` is the reason why this machine cannot have it. */
export interface Linter {
  /** Program and its options. */
  command: string[];
  missing?: string;
}

const ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12";

/** Installs actionlint with Go on the first call. */
export async function actionlint(): Promise<Linter> {
  const folder = join(root, ".build", ACTIONLINT.replaceAll("/", "-"));
  const file = join(folder, "actionlint");
  if (!existsSync(file)) {
    const env = { ...process.env, GOBIN: folder };
    const { error, status, stderr } = spawnSync("go", ["install", ACTIONLINT], {
      env,
      encoding: "utf8",
      timeout: 300_000,
    });
    if (error) return { command: [], missing: "no Go on the PATH for actionlint (Debian: apt install golang-go)" };
    if (status !== 0)
      return { command: [], missing: `go install actionlint failed: ${stderr.trim().split("\n").at(-1)}` };
  }
  // Without shellcheck and pyflakes, which only some machines have, the result is the same everywhere.
  return { command: [file, "-shellcheck=", "-pyflakes="] };
}

/** Installs zizmor from PyPI on the first call. */
export async function zizmor(): Promise<Linter> {
  const tool = await setUpPythonTool({ name: "zizmor", version: "1.32.0" }, (line) => console.error(line));
  if ("missing" in tool) return { command: [], missing: `zizmor: ${tool.missing}` };
  return { command: [join(dirname(tool.python), "zizmor"), "--offline", "--no-progress", "--quiet", "--color=never"] };
}
