import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type PythonTool, setUpPythonTool } from "../pythonTool";

/**
 * Installs Schemathesis on the first call, and after a change of the version.
 *
 * @param progress called with one line when a step begins
 */
export function setUpSchemathesis(progress: (line: string) => void): Promise<PythonTool> {
  return setUpPythonTool({ name: "schemathesis", version: "4.32.5" }, progress);
}

/** One run of Schemathesis against one server. */
export interface FuzzRun {
  python: string;
  /** Path of the OpenAPI document. */
  document: string;
  url: string;
  /** Regular expression of the paths to call. */
  paths: string;
  headers: Record<string, string>;
  /** Generated cases per operation, in addition to the examples and the fixed cases for each constraint. */
  examples: number;
  seed: number;
  /** Checks of Schemathesis that the run omits. */
  exceptChecks: string[];
  /** Folder for the report. */
  dir: string;
}

interface Report {
  complete: boolean;
  failures: { type: string; title: string; count: number; operations: string[] }[];
  errors: unknown[];
}

const checks = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
  "ignored_auth",
];

/**
 * Runs Schemathesis. Returns the failures of its checks, and its readable output.
 *
 * @throws Error when the run did not complete
 */
export async function runSchemathesis(run: FuzzRun): Promise<{ failures: Report["failures"]; output: string }> {
  const report = join(run.dir, "report.json");
  const args = [
    ...["-m", "schemathesis.cli", "run", run.document, "--url", run.url, "--include-path-regex", run.paths],
    ...Object.entries(run.headers).flatMap(([name, value]) => ["--header", `${name}: ${value}`]),
    ...["--phases", "examples,coverage,fuzzing", "--max-examples", String(run.examples), "--seed", String(run.seed)],
    ...["--checks", checks.filter((check) => !run.exceptChecks.includes(check)).join(",")],
    ...["--continue-on-failure", "--no-shrink", "--generation-database", "none", "--request-timeout", "30"],
    ...["--suppress-health-check", "all", "--warnings", "off", "--no-color"],
    ...["--report", "json", "--report-json-path", report],
  ];
  const output = await outputOf(run.python, args, run.dir);
  if (!existsSync(report)) throw new Error(`Schemathesis wrote no report: ${output.trim().split("\n").at(-1)}`);
  const { complete, failures, errors } = JSON.parse(readFileSync(report, "utf8")) as Report;
  if (!complete || errors.length > 0)
    throw new Error(`Schemathesis did not complete: ${JSON.stringify(errors[0])}\n${output}`);
  return { failures, output };
}

/** Runs a program and returns everything that it prints. */
function outputOf(file: string, args: string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
    child.once("error", reject);
    child.once("close", () => resolve(text));
  });
}
