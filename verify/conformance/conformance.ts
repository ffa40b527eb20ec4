import Table from "cli-table3";
import { InvalidArgumentError } from "commander";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import { type EngineName, engineOption } from "../../local/llm/engineOption";
import { warmUp } from "./deployed";
import { type FixtureResult, runSuite } from "./suite";
import { deployedTarget, type Target } from "./target";

/** What `npm run contract -- --json` prints. It holds no secret. */
export interface ContractResult {
  passed: number;
  failed: number;
  skipped: number;
  results: (FixtureResult & { endpoint: string })[];
}

interface Options {
  url?: string;
  api?: string;
  limit: number;
  atOnce: number;
  engine?: EngineName;
  json?: boolean;
}

const program = command(
  "contract",
  "Sends every request that was ever shipped to an endpoint, and holds the answers against what their readers rely on.",
)
  .option("--url <url>", "the endpoint: https://api.runpod.ai/v2/<id>. Without options: a local cloud's", url)
  .option("--api <url>", "auth API to ask for a session, which has the ticket and, without --url, the endpoint", url)
  .option("--limit <seconds>", "how long the endpoint may take to start a worker, and each answer", count, 600)
  .option("--at-once <number>", "requests under way at once; 1 for an engine on a CPU", count, 4)
  .addOption(engineOption())
  .addHelpText(
    "after",
    `
Environment:
  RUNPOD_API_KEY  key that may call the endpoint; needed with --url
  TICKET          a ticket for the endpoint's model; needed with --url where there is no --api
  ID_TOKEN        with --api: a customer's ID token; without it the session is a guest's

What is compared is what the contract promises, never a reply's words: fields and their types, codes, limits, the order of
a stream. A fixture that needs a ticket nobody can have there (an expired one) is skipped.`,
  )
  .action(async (options: Options) => {
    const say = options.json ? () => {} : (line: string) => console.log(pc.dim(`${line} …`));
    const result = await check(options, say);
    if (options.json) console.log(JSON.stringify(result));
    else print(result);
    if (result.failed > 0) process.exitCode = 1;
  });

void run(program);

async function check(options: Options, say: (line: string) => void): Promise<ContractResult> {
  if (options.url || options.api) {
    if (options.engine) throw new Error("--engine: only for the local cloud, without --url and --api");
    return checkAll([await deployedTarget(options, process.env)], options, say);
  }
  const { inTemporaryCloud } = await import("../../local/cloud/temporaryCloud.js");
  const { localTargets } = await import("./localTargets.js");
  return inTemporaryCloud({ engine: options.engine, say }, async (cloud, outputs) => {
    if (cloud.runpod.workerKind === "canned")
      throw new Error("The local cloud's canned replies cannot keep the contract: npm run python -- setup");
    return checkAll(await localTargets(cloud, outputs), options, say);
  });
}

async function checkAll(
  targets: Target[],
  { limit, atOnce }: Options,
  say: (line: string) => void,
): Promise<ContractResult> {
  const limitMs = limit * 1000;
  const results: ContractResult["results"] = [];
  for (const { name, endpoint, values } of targets) {
    say(`${name}: waiting for a worker`);
    await warmUp(endpoint, limitMs);
    say(`${name}: sending the fixtures`);
    const onResult = ({ result, fixture }: FixtureResult) => {
      if (result === "failed") say(`${name}: ${fixture} failed`);
    };
    const done = await runSuite(endpoint, values, { atOnce, limitMs, onResult });
    results.push(...done.map((one) => ({ endpoint: name, ...one })));
  }
  const those = (what: FixtureResult["result"]) => results.filter(({ result }) => result === what).length;
  return { passed: those("passed"), failed: those("failed"), skipped: those("skipped"), results };
}

function print({ passed, failed, skipped, results }: ContractResult): void {
  const colours = { passed: pc.green, failed: pc.red, skipped: pc.yellow };
  const table = new Table({
    head: ["fixture", "endpoint", "result", "ms"],
    style: { head: [], border: [] },
    // A line between any two rows would be half of the table.
    chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
  });
  for (const { version, fixture, endpoint, result, ms } of results)
    table.push([`${version}/${fixture}`, endpoint, colours[result](result), ms]);
  console.log(table.toString());
  for (const { endpoint, fixture, result, problems } of results)
    if (result !== "passed") console.log(`${endpoint} ${fixture}: ${problems.join("; ")}`);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
}

function url(value: string): string {
  if (!/^https?:$/.test(URL.parse(value)?.protocol ?? ""))
    throw new InvalidArgumentError("Allowed: an http or https URL.");
  return value;
}

function count(value: string): number {
  if (!/^[1-9][0-9]{0,4}$/.test(value)) throw new InvalidArgumentError("Allowed: a whole number from 1 to 99999.");
  return Number(value);
}
