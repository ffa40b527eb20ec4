import pc from "picocolors";
import { command, run } from "../../cli/command";
import { counted } from "../../cli/counted";
import { fittedTable, withoutLines } from "../../cli/fittedTable";
import { setOperatorOutput } from "../../runpod/operatorOutput";
import type { Check, Status } from "./check";
import { examine } from "./examine";
import { loadTarget, secretVariables } from "./target";

interface Options {
  stack: string;
  dir: string;
  json?: boolean;
}

const program = command(
  "doctor",
  "Checks everything that a stack has at AWS, Stripe, the external LLMs and RunPod, and names each problem with the next step. It changes nothing.",
)
  .option("--stack <name>", 'name of the stack; "start" is the stack of npm start', "start")
  .option("--dir <folder>", "npm start's state folder", ".local")
  .addHelpText(
    "after",
    `
Secrets come from the environment, else from the pulumi command:
${secretVariables.join(", ")}.
AWS is read with your own credentials.
Status: ok; warning, a problem that does not stop the service yet; failed, a problem that stops it; unknown, could not be read.
The exit status is 1 when a check has failed.`,
  )
  .action(async ({ stack, dir, json }: Options) => {
    // Standard output is for the report.
    setOperatorOutput((line) => console.error(line));
    const target = await loadTarget(stack, { programDir: process.cwd(), dir });
    if (process.stderr.isTTY && !json) process.stderr.write(pc.dim("Checking …"));
    const checks = await examine(target);
    if (process.stderr.isTTY && !json) process.stderr.write("\r\u001b[K");
    const count = (status: Status) => checks.filter((check) => check.status === status).length;
    const counts = { failed: count("failed"), warnings: count("warning"), unknown: count("unknown") };
    if (json) console.log(JSON.stringify({ stack, ...counts, checks }));
    else console.log(`${report(checks)}\n${summary(count)}`);
    if (count("failed") > 0) process.exitCode = 1;
  });

void run(program);

function report(checks: Check[]): string {
  const colour = { ok: pc.green, warning: pc.yellow, failed: pc.red, unknown: pc.magenta };
  const rows = checks.map(({ name, status, seen, todo }) => [colour[status](status), name, seen, todo]);
  return fittedTable(rows, { head: ["", "check", "finding", "next step"], chars: withoutLines });
}

function summary(count: (status: Status) => number): string {
  return `${count("ok")} ok, ${counted(count("warning"), "warning")}, ${count("failed")} failed, ${count("unknown")} unknown`;
}
