import { InvalidArgumentError, Option } from "commander";
import { command, run } from "../cli/command";
import { reportLines, resultLine } from "./failover/report";
import { type FailoverProvider, failoverProviders, runFailover } from "./failover/run";

interface Options {
  json?: boolean;
  only?: string[];
  provider?: FailoverProvider[];
  scale: number;
}

const program = command("verify", "Checks the product against external systems that fail.");

program
  .command("failover")
  .description("plays sixteen failures of LLM providers against the relay, over the vendors' SDKs and real connections")
  .option("--json", "print one JSON object and nothing else")
  .option("--only <ids>", "scenarios, such as S08,S09 (default: all)", ids)
  .addOption(
    new Option("--provider <names>", `providers that fail (default: ${failoverProviders.join(",")})`).argParser(
      providers,
    ),
  )
  .addOption(
    new Option("--scale <number>", "divides all times, the relay's deadlines included").default(1).argParser(positive),
  )
  .addHelpText(
    "after",
    `
The scenarios are those of Failover Bench (github.com/failoverbench/failoverbench), by the same ids. The providers fail
at the same time, each in all scenarios: about six minutes.
Exits with status 1 when a scenario fails, also with --json.`,
  )
  .action(async ({ only, provider, scale, json = program.opts<{ json?: boolean }>().json }: Options) => {
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

void run(program);

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
