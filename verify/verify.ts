import { InvalidArgumentError, Option } from "commander";
import pc from "picocolors";
import { command, run } from "../cli/command";
import { Progress } from "../cli/progress";
import { canaryLines } from "./canary/report";
import { runCanary } from "./canary/run";
import { APP_BUDGET_LINES, CLIENT_BUDGET_BYTES } from "./clientApp/pack";
import { clientAppLines } from "./clientApp/report";
import { runClientApp } from "./clientApp/run";
import { reportLines, resultLine } from "./failover/report";
import { type FailoverProvider, failoverProviders, runFailover } from "./failover/run";
import { measureMemory } from "./leavers/memory";
import { leaversLines, reportOf } from "./leavers/report";
import { runLeavers } from "./leavers/run";
import { type FuzzReport, fuzz } from "./openapi/fuzz";
import { setUpSchemathesis } from "./openapi/schemathesis";
import { findingLines, MAX_GROWTH_PERCENT, soakLines, reportOf as soakReportOf } from "./soak/report";
import { runSoak } from "./soak/run";

interface LeaversOptions {
  json?: boolean;
  clients: number;
  seed: number;
}

interface SoakOptions {
  json?: boolean;
  minutes: number;
  customers: number;
  seed: number;
}

interface CanaryOptions {
  json?: boolean;
  runs: number;
  seed: number;
}

interface FailoverOptions {
  json?: boolean;
  only?: string[];
  provider?: FailoverProvider[];
  scale: number;
}

interface OpenApiOptions {
  json?: boolean;
  requests: number;
  seed: number;
}

const program = command("verify", "Checks the product against external systems that fail.");

program
  .command("failover")
  .description("plays sixteen failures of LLM providers against the relay, over the vendors' SDKs and real connections")
  .option("--json", "print one JSON object and nothing else")
  .option("--only <ids>", "ids of the scenarios, such as S08,S09 (default: all)", ids)
  .addOption(
    new Option("--provider <names>", `providers that fail (default: ${failoverProviders.join(",")})`).argParser(
      providers,
    ),
  )
  .addOption(
    new Option("--scale <number>", "divides all times, including the relay's deadlines").default(1).argParser(positive),
  )
  .addHelpText(
    "after",
    `
The scenarios are the scenarios of Failover Bench (github.com/failoverbench/failoverbench), with the same ids. The
providers run in parallel, and each provider plays all scenarios. Takes about six minutes.
Exits with status 1 when a scenario fails, also with --json.`,
  )
  .action(async ({ only, provider, scale, json = program.opts<{ json?: boolean }>().json }: FailoverOptions) => {
    const result = await runFailover({
      ...(only && { only }),
      ...(provider && { providers: provider }),
      scale,
      onResult: (one) => void (json || console.log(resultLine(one))),
    });
    if (json) console.log(JSON.stringify(result));
    else for (const line of reportLines(result)) console.log(line);
    if (result.failed > 0) process.exitCode = 1;
  });

program
  .command("leavers")
  .description("lets clients leave their chats at random moments, and measures the relay's memory with slow readers")
  .option("--json", "print one JSON object and nothing else")
  .addOption(new Option("--clients <number>", "clients that leave").default(200).argParser(atLeast(12)))
  .addOption(
    new Option("--seed <number>", "seed of the moments at which the clients leave").default(1).argParser(atLeast(0)),
  )
  .addHelpText(
    "after",
    `
The relay runs behind the local function URL, which does not notice a client that leaves. Its upstreams are a slow
external LLM and a RunPod endpoint. Their replies take longer than the relay's cap. Half of the clients cancel with the
browser client. The other clients only close their connection. After the cancel call, the upstream call must end within
1.5 s. Without the cancel call, the upstream call must end within the relay's cap. Two deadlines are shorter than in the
product. The cap is 6 s (product: 60 s for an LLM, 240 s for RunPod). The first text must arrive within 5 s (product: 12 s
and 180 s). The delays of the cancel call are the same as in the product. The command measures the memory of a process
with the relay's handler after 200 and after 2,000 chats. Takes about two minutes.
Exits with status 1 when a limit is exceeded, also with --json.`,
  )
  .action(async ({ clients, seed, json = program.opts<{ json?: boolean }>().json }: LeaversOptions) => {
    const say = (line: string) => void (json || console.log(line));
    const result = await runLeavers({ clients, seed, say });
    say("measuring the memory");
    const report = reportOf(result, await measureMemory({ first: 200, last: 2_000 }));
    if (json) console.log(JSON.stringify(report));
    else for (const line of leaversLines(report)) console.log(line);
    if (!report.passed) process.exitCode = 1;
  });

program
  .command("client-app")
  .description("packs the client, builds the README's app with Vite and React, and drives the app in Chromium")
  .option("--json", "print one JSON object and nothing else")
  .addHelpText(
    "after",
    `
The command builds the app in a temporary folder, with the packed client and the versions of Vite and React in
verify/clientApp/app/package-lock.json. The packages come from the npm registry or npm's cache. The app runs against a
local cloud on free ports. The app may have at most ${APP_BUDGET_LINES} lines, and the client at most ${CLIENT_BUDGET_BYTES} bytes (minified, gzip). Takes about a minute.
Exits with status 1 when a check fails, and when Chromium or the registry is missing, also with --json.`,
  )
  .action(async ({ json = program.opts<{ json?: boolean }>().json }: { json?: boolean }) => {
    const report = await runClientApp((line) => void (json || console.log(`${line} …`)));
    if (json) console.log(JSON.stringify(report));
    else for (const line of clientAppLines(report)) console.log(line);
    if (report.failed > 0) process.exitCode = 1;
  });

program
  .command("openapi")
  .description("sends generated requests to a local cloud, and compares every answer with contract/openapi.json")
  .option("--json", "print one JSON object and nothing else")
  .addOption(new Option("--requests <number>", "minimum number of requests").default(5_000).argParser(atLeast(1)))
  .addOption(new Option("--seed <number>", "seed of the generated requests").default(1).argParser(atLeast(0)))
  .addHelpText(
    "after",
    `
Schemathesis generates the requests: the examples of the document, one case for each constraint of a schema, and random
valid and invalid requests. It calls the API, the relay and the job APIs, as a guest and as a customer of each plan. The
command installs Schemathesis into a Python environment in .build/schemathesis. Without Python or PyPI, the command prints
SKIPPED. It compares every field of each answer with the document. RunPod answers 500 for every failed job. Such an answer
counts as a server error only when the worker's error is a server error. The file .build/reports/schemathesis.txt
contains the requests that failed a check of Schemathesis.
Exits with status 1 when any number except requests and accepted is above 0, also with --json.`,
  )
  .action(async ({ requests, seed, json = program.opts<{ json?: boolean }>().json }: OpenApiOptions) => {
    const say = (line: string) => console.error(pc.dim(line));
    const tool = await setUpSchemathesis(say);
    if ("missing" in tool) {
      console.log(json ? JSON.stringify({ skipped: tool.missing }) : pc.yellow(pc.bold(`SKIPPED: ${tool.missing}`)));
      if (process.env.REQUIRE_ALL === "1") process.exitCode = 1;
      return;
    }
    const { details, ...counts } = await fuzz({ ...tool, requests, seed, say });
    for (const detail of details) console.error(pc.red(detail));
    if (json) console.log(JSON.stringify(counts));
    else for (const [name, count] of Object.entries(counts)) console.log(`${name.padEnd(22)}${count}`);
    if (isBad(counts)) process.exitCode = 1;
  });

program
  .command("soak")
  .description("lets customers use a local cloud, turns all its faults on and off, and checks the result")
  .option("--json", "print one JSON object and nothing else")
  .addOption(new Option("--minutes <number>", "minutes with faults").default(10).argParser(positive))
  .addOption(new Option("--customers <number>", "number of concurrent customers").default(30).argParser(atLeast(1)))
  .addOption(new Option("--seed <number>", "seed of the customers' actions").default(1).argParser(atLeast(0)))
  .addHelpText(
    "after",
    `
Customers sign up, chat on each plan, leave, lose their connection, pay, change, cancel and dispute. The local cloud is
npm start in another process. Its faults are active one after another, and then several at the same time.
chats              complete replies
excused            errors that an active fault explains
stalledSeconds     time in which this machine was too busy for the product's time limits; errors in this time count as
                   explained
lostEvents         Stripe's events that were never handled, and replies with missing or misplaced text
wrongPlans         plans that differ from the purchased plan, at the end and after Stripe's clock has moved by a month
unexpected5xx      server errors that no active fault explains
unexpectedErrors   other errors that no active fault explains
memoryGrowth       growth of the resident memory from one third of --minutes to the end, in percent, after garbage
                   collection, without Lambda containers that started meanwhile. Before that, Node still compiles code
leftProcesses      processes that still run after the stop of the local cloud
The start, the two measurements and the checks take some more minutes. The command prints each finding on stderr.
Exits with status 1 when memoryGrowth is above ${MAX_GROWTH_PERCENT}, or when lostEvents, wrongPlans, unexpected5xx,
unexpectedErrors or leftProcesses is above 0, also with --json.`,
  )
  .action(async ({ minutes, customers, seed, json = program.opts<{ json?: boolean }>().json }: SoakOptions) => {
    const progress = new Progress(process.stderr);
    const show = process.stderr.isTTY ? progress.activity : everyHalfMinute(progress.step);
    const result = await runSoak({ minutes, customers, seed, say: progress.step, show });
    progress.clear();
    const report = soakReportOf(result);
    for (const line of findingLines(result)) console.error(line);
    if (json) console.log(JSON.stringify(report));
    else for (const line of soakLines(report)) console.log(line);
    if (!report.passed) process.exitCode = 1;
  });

program
  .command("canary")
  .description("measures who meets a retrained model, and plays healthy and broken candidates against the verdict rule")
  .option("--json", "print one JSON object and nothing else")
  .addOption(new Option("--runs <number>", "healthy candidates, six hours each").default(1_000).argParser(atLeast(1)))
  .addOption(new Option("--seed <number>", "seed of the ids and of the replies").default(1).argParser(atLeast(0)))
  .addHelpText(
    "after",
    `
sharePercent       share of 100,000 user ids that a candidate with a share of 5% answers
monotone           whether no user returns to the released model when the share grows
sticky             whether a user gets the same answer every time
falseAlarms        healthy candidates that a verdict ended
faults             minutes from each fault to the rollback, in simulated time, and the verdict's reason
tooFewReplies      verdict about a broken candidate with too few replies
Everything is computed: no server is started. Exits with status 1 when ok is false, also with --json.`,
  )
  .action(({ runs, seed, json = program.opts<{ json?: boolean }>().json }: CanaryOptions) => {
    const progress = new Progress(process.stderr);
    const report = runCanary(runs, seed, (run) => progress.activity(`${run} of ${runs} healthy candidates`));
    progress.clear();
    if (json) console.log(JSON.stringify(report));
    else for (const line of canaryLines(report)) console.log(line);
    if (!report.ok) process.exitCode = 1;
  });

void run(program);

/** Prints at most one line every 30 s. Used when the output is not a terminal. */
function everyHalfMinute(print: (line: string) => void): (line: string) => void {
  let lastAt = performance.now();
  return (line) => {
    if (performance.now() - lastAt < 30_000) return;
    lastAt = performance.now();
    print(line);
  };
}

function isBad({ requests: _, accepted: __, ...faults }: Omit<FuzzReport, "details">): boolean {
  return Object.values(faults).some((count) => count > 0);
}

function ids(text: string): string[] {
  return text.split(",").map((id) => id.trim());
}

function providers(text: string): FailoverProvider[] {
  return text.split(",").map((text) => {
    const name = failoverProviders.find((one) => one === text.trim());
    if (name) return name;
    throw new InvalidArgumentError(`Allowed: ${failoverProviders.join(", ")}.`);
  });
}

function positive(text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new InvalidArgumentError("Allowed: a number above 0.");
}

function atLeast(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`Allowed: a whole number of at least ${least}.`);
  };
}
