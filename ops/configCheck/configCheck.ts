import pc from "picocolors";
import { command, run } from "../../cli/command";
import { counted } from "../../cli/counted";
import { fittedTable } from "../../cli/fittedTable";
import type { StackConfig } from "../../local/support/stackConfig";
import { configKey } from "../../names";
import { secretReader } from "../doctor/secrets";
import { type Difference, differences } from "./differences";
import { type Risk, risks } from "./risks";
import { readStackFile } from "./stackFile";

interface Options {
  stack: string;
  against: string;
  json?: boolean;
}

/** Result of the command. */
interface Report {
  stack: string;
  against: string;
  /** One line per bad value. The program refuses the stack. */
  problems: string[];
  /** Whether the stacks were compared. False when the file cannot be parsed; then warnings and differences are empty. */
  compared: boolean;
  warnings: Risk[];
  differences: Difference[];
}

const program = command(
  "config:check",
  "Checks a stack's file with the rules of the program, explains every difference from another stack, and warns about risky values. It needs no account.",
)
  .requiredOption("--stack <name>", "stack whose Pulumi.<name>.yaml is checked")
  .option("--against <name>", "stack to compare with", "dev")
  .addHelpText(
    "after",
    `
Secrets are never printed. The Stripe key is read only to tell whether it is a test key: from STRIPE_API_KEY in the
environment, else from the pulumi command. Most warnings are for stacks whose name begins with prod.
The exit status is 1 when the configuration is not valid.`,
  )
  .action(async ({ stack, against, json }: Options) => {
    const report = await check(stack, against);
    console.log(json ? JSON.stringify(report) : reportText(report));
    if (report.problems.length > 0) process.exitCode = 1;
  });

void run(program);

async function check(stack: string, against: string): Promise<Report> {
  const programDir = process.cwd();
  const { file, given } = readStackFile(programDir, stack);
  const other = readStackFile(programDir, against).file;
  if (!other.config) throw new Error(`Pulumi.${against}.yaml is not valid:${lines(other.problems)}`);
  if (!file.config) {
    return { stack, against, problems: file.problems, compared: false, warnings: [], differences: [] };
  }
  const found = differences(file, other);
  const hasTestKey = /^[rs]k_test_/.test(await stripeKey(stack, programDir, given));
  const warnings = risks({ file, against: other, differences: found, hasTestKey });
  return { stack, against, problems: file.problems, compared: true, warnings, differences: found };
}

/** The Stripe key; empty when it is not set or cannot be read. */
async function stripeKey(stack: string, programDir: string, { values, encryptedKeys }: StackConfig): Promise<string> {
  const read = secretReader(
    { stack, programDir },
    { plain: (key) => values[configKey(key)], isEncrypted: (key) => encryptedKeys.includes(configKey(key)) },
    process.env,
  );
  const secret = await read("stripeApiKey", "STRIPE_API_KEY");
  return typeof secret === "object" ? secret.key : "";
}

function reportText(report: Report): string {
  const { stack, against, problems, warnings, differences } = report;
  const parts = [
    ...(problems.length > 0 ? [pc.red(`Pulumi.${stack}.yaml is not valid:${lines(problems)}`)] : []),
    ...(differences.length > 0 ? [differenceTable(stack, against, differences)] : []),
    ...warnings.map(({ key, warning }) => pc.yellow(`${key} ${warning}`)),
    summary(report),
  ];
  return parts.join("\n");
}

function summary({ stack, against, problems, warnings, differences, compared }: Report): string {
  const found = counted(problems.length, "problem");
  if (!compared) return `${found}; not compared with ${against}, because Pulumi.${stack}.yaml is not valid`;
  return `${found}, ${counted(warnings.length, "warning")}, ${counted(differences.length, "difference")} from ${against}`;
}

function differenceTable(stack: string, against: string, differences: Difference[]): string {
  const rows = differences.map(({ key, value, against: other, meaning }) => {
    return [key, valueText(other), valueText(value), meaning];
  });
  return fittedTable(rows, { head: ["key", against, stack, "meaning"] });
}

function valueText(value: unknown): string {
  if (value === undefined) return pc.dim("not set");
  if (Array.isArray(value)) return value.length > 0 ? value.map(String).join("\n") : "none";
  return String(value);
}

function lines(problems: string[]): string {
  return problems.map((line) => `\n  ${line}`).join("");
}
