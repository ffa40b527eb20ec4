import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import { root } from "../../cli/root";
import { generatedFiles } from "../../contract/generatedFiles";
import type { OpenApi } from "../../contract/openapi/document";
import { documentFile, findDrift } from "./drift";

const program = command(
  "openapi:check",
  "Lints contract/openapi.json and compares it with the sources of the handlers. Exits with status 1 on any difference.",
)
  .addHelpText(
    "after",
    `
lint    problems that Redocly finds with the rules of redocly.yaml
drift   statuses, error codes and fields that only the document or only the code has

The tests of the local cloud and npm run verify -- openapi compare the answers of the running system with the document.`,
  )
  .action(async ({ json }: { json?: boolean }) => {
    const text = readFileSync(join(root, documentFile), "utf8");
    const isOld = text !== generatedFiles()[documentFile];
    const outdated = isOld ? [`${documentFile} is out of date: run npm run contract:generate`] : [];
    const document = JSON.parse(text) as OpenApi;
    const found = { lint: lint(), drift: [...outdated, ...(await findDrift(root, document))] };
    const problems = [...found.lint, ...found.drift];
    if (problems.length > 0) process.exitCode = 1;
    if (json) {
      console.log(JSON.stringify(found));
      return;
    }
    for (const problem of problems) console.log(pc.red(problem));
    const verdict = `${found.lint.length} lint problems, ${found.drift.length} differences`;
    console.log(process.exitCode ? pc.red(verdict) : pc.green(verdict));
  });

void run(program);

interface RedoclyReport {
  problems: { message: string; ruleId: string; location: { pointer?: string }[] }[];
}

/** Runs Redocly without network. Returns one line for each error or warning. */
function lint(): string[] {
  const { stdout, stderr, error } = spawnSync(
    process.execPath,
    [require.resolve("@redocly/cli/bin/cli.js"), "lint", "--format=json"],
    {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" },
    },
  );
  if (error) throw error;
  const [, report] = /^(\{[\s\S]*\})\s*$/m.exec(stdout) ?? [];
  if (!report) throw new Error(`Redocly printed no report: ${stderr.trim().split("\n").at(-1)}`);
  const { problems } = JSON.parse(report) as RedoclyReport;
  return problems.map(({ message, ruleId, location }) => `${location[0]?.pointer ?? ""}: ${message} (${ruleId})`);
}
