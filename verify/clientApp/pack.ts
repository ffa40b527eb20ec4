import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { cp, mkdir, readdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";
import { buildClientModule } from "../../client/build/module";

const exec = promisify(execFile);

/** Largest allowed size of the client in a frontend's bundle: minified and compressed. */
export const CLIENT_BUDGET_BYTES = 6_000;
/** Largest allowed number of lines of the README's app. Empty lines do not count. */
export const APP_BUDGET_LINES = 40;

/**
 * Size that `createClient` of the packed client adds to a frontend's bundle, in bytes after gzip. Vite uses the same
 * bundler and minifier, and treats comments in the same way.
 */
export async function clientGzipBytes(): Promise<number> {
  buildClientModule();
  const bundle = await rolldown({
    input: "entry",
    plugins: [
      {
        name: "entry",
        resolveId: (id) => (id === "entry" ? id : undefined),
        load: (id) => (id === "entry" ? 'export { createClient } from "@snack-misaki/client"' : undefined),
      },
    ],
  });
  const { output } = await bundle.generate({ format: "esm", minify: true, comments: false });
  await bundle.close();
  return gzipSync(output[0].code, { level: 9 }).length;
}

/** Reads the app in the client's README. */
export function readmeApp(): { code: string; lines: number } {
  const [, code] = /^```tsx\n(.*?)^```$/ms.exec(readFileSync("client/README.md", "utf8")) ?? [];
  if (code === undefined)
    throw new Error("client/README.md has no app: the app is a code block that starts with ```tsx");
  return { code, lines: code.split("\n").filter((line) => line.trim() !== "").length };
}

/** Stack outputs that the build writes into the app. */
export interface AppSettings {
  apiUrl: string;
  signIn: object;
}

/**
 * Packs the client, and builds the README's app with it as a new Vite project in `dir`. The project is outside the
 * repository, so it sees only the packed client.
 *
 * @param say called with each line of progress
 * @returns folder of the built site
 * @throws Error with the output of the step that failed
 */
export async function buildApp(dir: string, { apiUrl, signIn }: AppSettings, say: (line: string) => void) {
  say("packing the client");
  await npm(resolve("client"), ["pack", "--pack-destination", dir]);
  const packed = (await readdir(dir)).find((name) => name.endsWith(".tgz"));
  if (packed === undefined) throw new Error("npm pack has written no package");

  const app = join(dir, "app");
  await cp(resolve("verify/clientApp/app"), app, { recursive: true });
  await mkdir(join(app, "src"));
  await writeFile(join(app, "src/main.tsx"), readmeApp().code);
  say("installing Vite, React and the packed client from the npm registry");
  await npm(app, ["ci"]);
  await npm(app, ["install", "--no-save", join(dir, packed)]);

  say("type-checking and building the app");
  const env = { ...process.env, VITE_API_URL: apiUrl, VITE_SIGN_IN: JSON.stringify(signIn) };
  await step(app, process.execPath, [join(app, "node_modules/typescript/bin/tsc"), "-p", app], env);
  await step(app, process.execPath, [join(app, "node_modules/vite/bin/vite.js"), "build"], env);
  return join(app, "dist");
}

const npm = (cwd: string, args: string[]) =>
  step(cwd, "npm", [...args, "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1"], process.env);

/** Longest time of one step, such as an installation over a slow network. */
const STEP_TIMEOUT_MS = 180_000;

async function step(cwd: string, program: string, args: string[], env: NodeJS.ProcessEnv): Promise<void> {
  try {
    await exec(program, args, { cwd, env, timeout: STEP_TIMEOUT_MS });
  } catch (cause) {
    const { stdout = "", stderr = "" } = cause as { stdout?: string; stderr?: string };
    const command = [program, ...args].join(" ");
    throw new Error(`client-app: \`${command}\` failed in ${cwd}:\n${`${stdout}\n${stderr}`.trim()}`, { cause });
  }
}
