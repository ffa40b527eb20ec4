import Table from "cli-table3";
import { InvalidArgumentError } from "commander";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import { type EngineName, engineOption } from "../../local/llm/engineOption";
import { waitForWorker } from "./endpoint";
import { type FixtureResult, runSuite } from "./suite";
import { deployedTarget, type Target } from "./target";

/** JSON output of `npm run contract -- --json`. It contains no secret. */
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
  "Sends the requests of every shipped contract version to an endpoint and checks that the answers stay compatible.",
)
  .option(
    "--url <url>",
    "endpoint to check, https://api.runpod.ai/v2/<id> (default: all endpoints of a local cloud)",
    url,
  )
  .option(
    "--api <url>",
    "auth API that creates sessions; without --url, the command checks the session's endpoint",
    url,
  )
  .option("--limit <seconds>", "time limit for the worker's start and for each answer", count, 600)
  .option("--at-once <number>", "number of concurrent requests; use 1 for an engine on a CPU", count, 4)
  .addOption(engineOption())
  .addHelpText(
    "after",
    `
Environment:
  RUNPOD_API_KEY  API key that may call the endpoint; required with --url
  TICKET          ticket for the endpoint's model; required with --url unless --api is given
  ID_TOKEN        customer's ID token for --api; default: the session of a guest

The check covers what the contract promises: fields and their types, error codes, limits and the order of a stream. It
ignores the wording of a reply. The command skips a fixture whose ticket is not available, such as an expired ticket.`,
  )
  .action(async (options: Options) => {
    const say = options.json ? () => {} : (line: string) => console.log(pc.dim(`${line} …`));
    const result = await checkSelected(options, say);
    if (options.json) console.log(JSON.stringify(result));
    else print(result);
    if (result.failed > 0) process.exitCode = 1;
  });

void run(program);

async function checkSelected(options: Options, say: (line: string) => void): Promise<ContractResult> {
  if (options.url || options.api) {
    if (options.engine) throw new Error("--engine is only for the local cloud: remove it, or remove --url and --api");
    return checkTargets([await deployedTarget(options, process.env)], options, say);
  }
  // Imports the local cloud only when it is needed, because loading it is slow.
  const { withLocalTargets } = await import("./localTargets.js");
  return withLocalTargets({ engine: options.engine, progress: say }, (targets) => checkTargets(targets, options, say));
}

async function checkTargets(
  targets: Target[],
  { limit, atOnce }: Options,
  say: (line: string) => void,
): Promise<ContractResult> {
  const limitMs = limit * 1000;
  const results: ContractResult["results"] = [];
  for (const { name, endpoint, values } of targets) {
    say(`${name}: waiting for a worker`);
    await waitForWorker(endpoint, limitMs);
    say(`${name}: sending the fixtures`);
    const onResult = ({ result, fixture }: FixtureResult) => {
      if (result === "failed") say(`${name}: ${fixture} failed`);
    };
    const suiteResults = await runSuite(endpoint, values, { atOnce, limitMs, onResult });
    results.push(...suiteResults.map((result) => ({ endpoint: name, ...result })));
  }
  const total = (kind: FixtureResult["result"]) => results.filter(({ result }) => result === kind).length;
  return { passed: total("passed"), failed: total("failed"), skipped: total("skipped"), results };
}

function print({ passed, failed, skipped, results }: ContractResult): void {
  const colours = { passed: pc.green, failed: pc.red, skipped: pc.yellow };
  const table = new Table({
    head: ["fixture", "endpoint", "result", "ms"],
    style: { head: [], border: [] },
    // Omits the lines between the rows, which would double the height of the table.
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
