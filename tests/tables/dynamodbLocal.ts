import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "../../local/support/ports";

const pom = "tests/tables/pom.xml";
const folder = join(".build", "dynamodb-local");
const [, version = ""] =
  /<artifactId>DynamoDBLocal<\/artifactId>\s*<version>([\w.]+)</.exec(readFileSync(pom, "utf8")) ?? [];
/** Commands that must be installed on this machine, because npm does not provide them. */
const [java, maven] = ["java", "mvn"];
const OLDEST_JAVA = 17;
const FETCH_TIMEOUT_MS = 300_000;
const START_TIMEOUT_MS = 60_000;

/** The reason DynamoDB Local cannot run on this machine; undefined if it can. */
export function whyNoDynamodbLocal(): string | undefined {
  const [, found] = / version "(\d+)/.exec(outputOf(java, ["-version"])) ?? [];
  if (Number(found ?? 0) < OLDEST_JAVA) return `it needs Java ${OLDEST_JAVA} or newer, found ${found ?? "none"}`;
  if (isFetched() || outputOf(maven, ["--version"]).includes("Apache Maven")) return undefined;
  return `it needs Maven for the download, or an existing DynamoDBLocal-${version}.jar in ${folder}`;
}

/**
 * Starts DynamoDB Local on a free port, in memory. Maven downloads it into `.build/dynamodb-local` once.
 *
 * @throws Error when the download or the start fails, with the process's output
 */
export async function startDynamodbLocal(): Promise<{ url: string; close(): Promise<void> }> {
  if (!isFetched()) await fetchJars();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = ["-Xmx256m", `-Djava.library.path=${folder}`, "-cp", join(folder, "*")];
  const main = ["software.amazon.dynamodb.services.local.main.ServerRunner", "-inMemory", "-disableTelemetry"];
  const server = spawn(java, [...args, ...main, "-port", String(port)], { stdio: ["ignore", "pipe", "pipe"] });
  const kill = () => server.kill("SIGKILL");
  process.once("exit", kill);
  const exited = once(server, "exit").finally(() => process.off("exit", kill));
  let said = "";
  for (const stream of [server.stdout, server.stderr]) stream.on("data", (chunk) => (said += chunk));
  const close = async () => {
    kill();
    await exited;
  };

  const startBy = Date.now() + START_TIMEOUT_MS;
  while (!(await answers(url))) {
    const isOver = await Promise.race([exited.then(() => true), new Promise((resolve) => setTimeout(resolve, 200))]);
    if (!isOver && Date.now() < startBy) continue;
    await close();
    throw new Error(`DynamoDB Local did not start on port ${port}. Its output:\n${said}`);
  }
  return { url, close };
}

async function fetchJars(): Promise<void> {
  // Maven writes to a temporary folder, which is renamed at the end. Therefore an interrupted download is never used.
  const aside = `${folder}.${process.pid}`;
  const args = ["-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime"];
  console.warn(`Fetching DynamoDB Local ${version} with Maven (46 MB, once) into ${folder}`);
  try {
    await promisify(execFile)(maven, [...args, `-DoutputDirectory=${join(process.cwd(), aside)}`], {
      timeout: FETCH_TIMEOUT_MS,
    });
    rmSync(folder, { recursive: true, force: true });
    renameSync(aside, folder);
  } catch (error) {
    const { stdout = "", message } = error as Error & { stdout?: string };
    const limit = `${FETCH_TIMEOUT_MS / 1000} s`;
    throw new Error(`Maven could not fetch DynamoDB Local ${version} (${pom}) within ${limit}: ${message}\n${stdout}`);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

function isFetched(): boolean {
  return existsSync(join(folder, `DynamoDBLocal-${version}.jar`));
}

/** Output of a command; empty when the command does not exist. */
function outputOf(file: string, args: string[]): string {
  const { stdout, stderr } = spawnSync(file, args, { encoding: "utf8", timeout: 60_000 });
  return `${stdout ?? ""}${stderr ?? ""}`;
}

async function answers(url: string): Promise<boolean> {
  return fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
    () => true,
    () => false,
  );
}
