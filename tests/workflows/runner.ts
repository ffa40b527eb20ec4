import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { readWorkflow, type Step } from "./workflows";

/** Values of the contexts of GitHub's expressions, by their full names, such as `inputs.stack`. */
export type Contexts = Record<string, string>;

/** A call of a stand-in. */
export interface Call {
  program: string;
  /** Words of the command, such as `stack output`. */
  name: string;
  options: Record<string, string | true | string[]>;
  rest: string[];
}

/** Result of a step's command. */
export interface StepResult {
  run: string;
  status: number | null;
  output: string;
}

/** Programs that need an account, a daemon or many minutes. `npm` is real except `npm ci` and `npm run check`. */
const standIns = ["pulumi", "docker", "gh", "sudo"];

/** Runs the commands of workflows as GitHub's runner does, with stand-ins for programs that need an account. */
export class Runner {
  private readonly bin: string;
  private readonly calls: string;
  private readonly files: { GITHUB_OUTPUT: string; GITHUB_STEP_SUMMARY: string };

  /**
   * @param dir folder for the stand-ins and the runner's files
   * @param cwd the checked-out repository
   * @param outputs outputs of the stack that the stand-in of Pulumi prints
   * @param environment variables of every step: addresses of doubles
   */
  constructor(
    dir: string,
    private readonly cwd: string,
    private readonly outputs: Record<string, unknown> = {},
    private readonly environment: Record<string, string> = {},
  ) {
    this.bin = join(dir, "bin");
    this.calls = join(dir, "calls.jsonl");
    this.files = { GITHUB_OUTPUT: join(dir, "output"), GITHUB_STEP_SUMMARY: join(dir, "summary.md") };
    mkdirSync(this.bin, { recursive: true });
    for (const file of [this.calls, ...Object.values(this.files)]) writeFileSync(file, "");
    const standIn = `exec "${process.execPath}" "${resolve("tests/workflows/standIn.cjs")}"`;
    for (const name of standIns) this.install(name, `${standIn} ${name} "$@"`);
    const npm = execFileSync("which", ["npm"], { encoding: "utf8" }).trim();
    this.install("npm", `case "$*" in "run check") exit 0;; ci*) ${standIn} npm "$@";; *) exec "${npm}" "$@";; esac`);
  }

  /**
   * Runs the commands of a job in order. After a command that fails, runs only the steps with `if: always()`. Never runs
   * steps with `if: failure()`.
   *
   * @throws Error when the environment of a step uses an unknown value
   */
  async job(workflow: string, job: string, contexts: Contexts): Promise<StepResult[]> {
    const found = readWorkflow(workflow).jobs[job];
    if (!found) throw new Error(`${workflow} has no job ${job}`);
    const results: StepResult[] = [];
    for (const step of found.steps) {
      const hasFailed = results.some(({ status }) => status !== 0);
      if (step.run === undefined || step.if?.includes("failure()")) continue;
      if (hasFailed && step.if !== "always()") continue;
      const result = await this.step(step.run, { ...evaluated(found.env, contexts), ...evaluated(step.env, contexts) });
      results.push(result);
    }
    return results;
  }

  /** The calls of all stand-ins until now. */
  readCalls(): Call[] {
    return readFileSync(this.calls, "utf8")
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Call);
  }

  /** Text of the job's outputs or of its summary. */
  read(file: "GITHUB_OUTPUT" | "GITHUB_STEP_SUMMARY"): string {
    return readFileSync(this.files[file], "utf8");
  }

  private async step(run: string, env: Record<string, string>): Promise<StepResult> {
    const child = spawn("bash", ["--noprofile", "--norc", "-eo", "pipefail", "-c", run], {
      cwd: this.cwd,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        HOME: process.env.HOME,
        PATH: `${this.bin}${delimiter}${process.env.PATH}`,
        GITHUB_ACTOR: "mama",
        GIT_CONFIG_GLOBAL: "/dev/null",
        NO_COLOR: "1",
        STAND_IN_CALLS: this.calls,
        STAND_IN_OUTPUTS: JSON.stringify(this.outputs),
        ...this.files,
        ...this.environment,
        ...env,
      },
    });
    const [out, err, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
    return { run, status: status as number | null, output: out + err };
  }

  private install(name: string, script: string): void {
    const file = join(this.bin, name);
    if (existsSync(file)) throw new Error(`${name} is already a stand-in`);
    writeFileSync(file, `#!/bin/bash\n${script}\n`);
    chmodSync(file, 0o755);
  }
}

/** Replaces the expressions in a step's environment. */
function evaluated(env: Step["env"], contexts: Contexts): Record<string, string> {
  const replace = (value: string) =>
    value.replaceAll(/\$\{\{\s*(.*?)\s*\}\}/g, (_, expression: string) => evaluate(expression, contexts));
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, replace(value)]));
}

/** Evaluates the part of GitHub's expressions that the workflows use: names, texts, `||` and `format`. */
function evaluate(expression: string, contexts: Contexts): string {
  for (const term of expression.split(" || ")) {
    const [, literal] = /^'(.*)'$/.exec(term) ?? [];
    const [, pattern = "", name = ""] = /^format\('(.*)', ([\w.]+)\)$/.exec(term) ?? [];
    const value = literal ?? (name ? pattern.replace("{0}", contexts[name] ?? "") : contexts[term]);
    if (!/^('.*'|format\(.*\)|(inputs|vars|secrets|matrix|github|needs)\.[\w.-]+)$/.test(term))
      throw new Error(`The test cannot evaluate the expression ${term}`);
    if (value) return value;
  }
  return "";
}
