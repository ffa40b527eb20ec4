import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, parseDocument } from "yaml";
import { slotOf } from "../../functions/core/canary/verdict";
import { ephemeralKeys } from "../../functions/tables/ephemeralKeys";
import { compositeAlarms, metricAlarms } from "../../infra/alarms";
import { type LocalCloud, startLocalCloud } from "../../local/cloud/cloud";
import { customers } from "../../local/cloud/customers";
import { type Listening, serve } from "../../local/support/http";
import { choosePorts, type Ports } from "../../local/support/ports";
import { readStackConfig } from "../../local/support/stackConfig";
import { configKey, stackNames } from "../../names";
import { AwsStandIn } from "./aws";
import { parseCommand } from "./options";
import { commandsInText, shellBlocks, withoutComments } from "./page";
import { PulumiStandIn } from "./pulumi";

const pages = { english: "docs/operations.md", japanese: "docs/operations.ja.md" };
const english = readFileSync(pages.english, "utf8");
const blocks = shellBlocks(english);

/** Values of the examples on the page, in the local cloud. */
const examples: Record<string, string> = {
  "export STACK=prod": "export STACK=local",
  // `STACK` is also the name of an environment in ops/github.
  '--arg stack "$STACK" \'.secretsProviders': "--arg stack prod '.secretsProviders",
  '--arg stack "$STACK" \'.deployRoles': "--arg stack prod '.deployRoles",
  '--arg stack "$STACK" \'.permissionsBoundaries': "--arg stack prod '.permissionsBoundaries",
};

const githubOutputs = {
  deployRoles: { prod: "arn:aws:iam::000000000000:role/snack-misaki-github-deploy-prod" },
  previewRole: "arn:aws:iam::000000000000:role/snack-misaki-github-preview",
  backendUrl: "s3://snack-misaki-state?region=ap-northeast-1&awssdk=v2",
  secretsProviders: { prod: "awskms:///arn:aws:kms:ap-northeast-1:000000000000:key/1" },
  permissionsBoundaries: { prod: "arn:aws:iam::000000000000:policy/snack-misaki-github-boundary-prod" },
};

const dir = mkdtempSync(join(tmpdir(), "snack-misaki-runbook-"));
const repository = join(dir, "repository");
const bin = join(dir, "bin");
const environment = join(dir, "environment");
const git = (...args: string[]) => execFileSync("git", args, { cwd: repository, encoding: "utf8" }).trim();

let cloud: LocalCloud;
let aws: AwsStandIn;
let pulumi: PulumiStandIn;
let standIns: Listening;

/** Creates a clone of the repository's present files, with one commit. The stack local has the cloud's free ports. */
function createRepository(ports: Ports): void {
  const files = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    encoding: "utf8",
  });
  for (const file of files.split("\0").filter((name) => name && existsSync(name))) {
    mkdirSync(join(repository, dirname(file)), { recursive: true });
    copyFileSync(file, join(repository, file));
  }
  symlinkSync(resolve("node_modules"), join(repository, "node_modules"));
  const local = join(repository, "Pulumi.local.yaml");
  const fixed = { 4100: ports.page, 4101: ports.runpod, 4102: ports.domain, 4103: ports.stripe };
  const moved = readFileSync(local, "utf8").replaceAll(/localhost:(410[0-3])/g, (_, port: keyof typeof fixed) => {
    return `localhost:${fixed[port]}`;
  });
  // The local cloud's stack has no protection, but a real stack has.
  writeFileSync(local, moved.replace("deletionProtection: false", "deletionProtection: true"));
  git("init", "--quiet", "--initial-branch=main");
  writeFileSync(join(repository, ".git/info/exclude"), "node_modules\n");
  git("config", "user.name", "Test");
  git("config", "user.email", "test@example.com");
  git("add", "--all");
  git("commit", "--quiet", "--message", "Start");
}

/** Removes the secrets of the local cloud from the stack's file, so that the operator has to set them. */
function removeSecrets(): void {
  const keys = readStackConfig(repository, "local").secretKeys;
  const file = join(repository, "Pulumi.local.yaml");
  const document = parseDocument(readFileSync(file, "utf8"));
  for (const key of keys) document.deleteIn(["config", key]);
  writeFileSync(file, document.toString({ lineWidth: 0 }));
}

/** Programs that need an account. The others are real. */
function installStandIns(): void {
  mkdirSync(bin);
  const npm = execFileSync("which", ["npm"], { encoding: "utf8" }).trim();
  const forward = `exec "${process.execPath}" "${resolve("tests/runbook/forward.cjs")}"`;
  const scripts = {
    ...Object.fromEntries(["pulumi", "aws", "gh"].map((name) => [name, `${forward} ${name} "$@"`])),
    npm: `if [ "$*" = ci ]; then ${forward} npm ci; else exec "${npm}" "$@"; fi`,
  };
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(bin, name), `#!/bin/bash\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
  }
}

function gh(args: string[]): string {
  const value = "value" as const;
  const { name, options, rest } = parseCommand("gh", args, {
    api: { options: { "--method": value }, rest: [1, 1] },
    "variable set": { options: { "--body": value, "--env": value }, rest: [1, 1] },
    "secret set": { options: { "--env": value }, rest: [1, 1] },
    "workflow run": { options: { "--raw-field": value }, rest: [1, 1] },
  });
  const [argument = ""] = rest;
  if (name === "variable set" && (typeof options["--body"] !== "string" || options["--body"] === "null"))
    throw new Error(`${argument} has no value`);
  if (name === "workflow run") {
    const { on } = parse(readFileSync(join(".github/workflows", argument), "utf8"));
    const [input = ""] = String(options["--raw-field"]).split("=");
    if (!(input in on.workflow_dispatch.inputs)) throw new Error(`${argument} has no input ${input}`);
  }
  if (name === "variable set" || name === "secret set") {
    const workflows = execFileSync("git", ["grep", "-h", "-o", `\\(vars\\|secrets\\)\\.${argument}`, "--", ".github"]);
    expect(String(workflows)).toContain(argument);
  }
  return "";
}

async function answer(program: string, args: string[], cwd: string): Promise<string> {
  if (program === "pulumi") return pulumi.run(args, cwd);
  if (program === "aws") return aws.run(args);
  if (program === "gh") return gh(args);
  if (program === "npm") return "";
  throw new Error(`${program}: command not found`);
}

beforeAll(async () => {
  const ports = await choosePorts(process.cwd(), true);
  createRepository(ports);
  installStandIns();
  const state = join(repository, ".local");
  mkdirSync(state);
  cloud = await startLocalCloud({ programDir: repository, dir: state, freePorts: true, ports, engine: "scripted" });
  const { values, secretKeys } = cloud.config();
  const secrets = Object.fromEntries(secretKeys.map((key) => [key.split(":")[1] ?? key, values[key] ?? ""]));
  aws = new AwsStandIn(cloud, state);
  pulumi = new PulumiStandIn({ repository, cloud, secrets, githubOutputs });
  standIns = await serve("stand-ins", 0, async (request) => {
    const { program, args, cwd } = (await request.json()) as { program: string; args: string[]; cwd: string };
    try {
      return Response.json({ out: await answer(program, args, cwd), err: "", status: 0 });
    } catch (error) {
      return Response.json({ out: "", err: `error: ${(error as Error).message}\n`, status: 255 });
    }
  });
  writeFileSync(environment, "");
});

afterAll(async () => {
  await standIns?.close();
  await cloud?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Runs commands as one terminal does: variables stay for the next commands. Expects the status 0. */
async function runInTerminal(commands: string): Promise<string> {
  let script = commands;
  for (const [example, value] of Object.entries(examples)) script = script.replaceAll(example, value);
  const child = spawn(
    "bash",
    ["--noprofile", "--norc", "-c", `. "${environment}"; set -ae -o pipefail\n${script}\nexport -p > "${environment}"`],
    {
      cwd: repository,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        HOME: process.env.HOME,
        PATH: `${bin}${delimiter}${process.env.PATH}`,
        GIT_CONFIG_GLOBAL: "/dev/null",
        NO_COLOR: "1",
        STAND_IN_URL: standIns.url,
      },
    },
  );
  const [out, err, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  if (status !== 0) throw new Error(`${script}\nended with ${status}:\n${out}${err}`);
  return out + err;
}

const minutes = (count: number) => count * 60_000;
const configOf = (key: string) =>
  parse(readFileSync(join(repository, "Pulumi.local.yaml"), "utf8")).config[configKey(key)];
const endpoints = () => cloud.runpod.account.endpoints.map(({ name }) => name).sort();
const [, paid = { sub: "" }, vip = { sub: "" }] = customers;
const stranger = "3f1c2b9e-5a52-4b6e-9a5e-0f6a7d1c0009";

/** Attributes of each row by user id. */
async function rowsById(): Promise<Record<string, Record<string, unknown>>> {
  const rows = await aws.rows(await aws.usersTable("local"));
  return Object.fromEntries(rows.map((row) => [row.user_id?.S ?? "", unmarshall(row)]));
}

async function createStripeCustomer(): Promise<string> {
  const response = await fetch(`${cloud.stripe?.url}/v1/customers`, {
    method: "POST",
    headers: { authorization: "Bearer rk_test_local_functions" },
  });
  return ((await response.json()) as { id: string }).id;
}

let linkedBefore = "";

/** One row is deleted, one gets another link, and one is new since the moment that the runbook restores. */
async function loseRows(): Promise<void> {
  const table = await aws.usersTable("local");
  linkedBefore = await createStripeCustomer();
  await aws.writeRow(table, { user_id: { S: vip.sub }, stripe_customer_id: { S: linkedBefore } });
  await aws.backUp(table);
  examples["BEFORE=2026-11-27T03:00:00+09:00"] = `BEFORE=${new Date().toISOString()}`;
  await aws.loseRow(table, paid.sub);
  await aws.writeRow(table, { user_id: { S: vip.sub }, stripe_customer_id: { S: await createStripeCustomer() } });
  await aws.writeRow(table, { user_id: { S: stranger }, grant_plan: { S: "vip" } });
}

async function loseTable(): Promise<void> {
  const table = await aws.usersTable("local");
  await aws.backUp(table);
  await aws.loseTable(table);
}

/** An update of an image ends in the middle. */
async function interruptUpdate(): Promise<void> {
  // The previous rollback has set pushedTag.
  await runInTerminal("pulumi config rm --path phi3.pushedTag");
  await runInTerminal("pulumi config set --path phi3.imageTag interrupted-1");
  await pulumi.interrupt("local");
}

/** Lets the candidate answer chats, as its testers do. */
async function proveCandidate(): Promise<void> {
  const type = "aws:ssm/parameter:Parameter";
  const id = `${stackNames("local").parameters.candidates}/mistral`;
  const found = cloud.aws.account.get(type, id);
  if (!found) throw new Error(`AWS has no parameter ${id}`);
  const value = JSON.stringify({ ...JSON.parse(String(found.outputs.value)), isReady: true });
  cloud.aws.account.put({ ...found, outputs: { ...found.outputs, value } });
  const pk = `${ephemeralKeys.replies}mistral#${slotOf(new Date()) - 1}#candidate#2026-12-01`;
  await aws.writeRow(await aws.tableName("local", "ephemeral"), { pk: { S: pk }, replies: { N: "9" } });
}

async function addCandidate(): Promise<void> {
  const set = "pulumi config set --path mistral.candidate.imageTag 2026-12-02";
  await runInTerminal(`${set}\ngit commit --all --message "Add a candidate"\npulumi up`);
}

/** Faults made before a block of the page, by a text in its commands. */
const faults: Record<string, () => Promise<void> | void> = {
  // Not before: the commands that need no account start another local cloud, which needs its keys.
  "--secrets-provider": removeSecrets,
  "BEFORE=2026": loseRows,
  "list-backups": loseTable,
  "pulumi cancel": interruptUpdate,
  "mistral promote": proveCandidate,
  "mistral abort": addCandidate,
};

/** Expected state after a block, by a text in its commands. */
const results: Record<string, (output: string) => Promise<void> | void> = {
  "npm run smoke -- --url": () => {
    expect(endpoints()).toEqual(["snack-misaki-local-mistral", "snack-misaki-local-phi3"]);
  },
  "ticketKeys.signing 2": () => expect(configOf("ticketKeys")).toEqual({ signing: 2, accepted: [1, 2] }),
  "config rm --path 'ticketKeys": () => expect(configOf("ticketKeys")).toEqual({ signing: 2, accepted: [2] }),
  "npm run rollout": () => expect(configOf("phi3").imageTag).toBe("2026-12-01"),
  "npm run rollback": () => expect(configOf("phi3")).toMatchObject({ pushedTag: "local-1" }),
  "mistral.candidate.testers": () => expect(endpoints()).toContain("snack-misaki-local-mistral-candidate"),
  "canary mistral 5": (output) => expect(output).toMatch(/5% in force|no worker has answered yet/),
  "mistral promote": (output) => {
    expect(output).toMatch(/update \S+:Template mistral\n[\s\S]*delete \S+:Endpoint mistral-candidate/);
    expect(configOf("mistral")).toEqual({ imageTag: "2026-12-01", workersMax: 2, idleTimeoutSeconds: 300 });
    expect(endpoints()).toEqual(["snack-misaki-local-mistral", "snack-misaki-local-phi3"]);
  },
  "mistral remove": () => {
    expect(configOf("mistral")).toMatchObject({ imageTag: "2026-12-01" });
    expect(endpoints()).toEqual(["snack-misaki-local-mistral", "snack-misaki-local-phi3"]);
  },
  "pulumi cancel": (output) => expect(output).toMatch(/(create|update|replace) \S+ phi3/),
  "runpodApi rest": (output) => expect(output).not.toMatch(/^(create|delete|replace) /m),
  attribute_not_exists: (output) => {
    const keptRow = (id: string) => new RegExp(`^${id}.*ConditionalCheckFailedException`, "m");
    expect(output).toMatch(keptRow(vip.sub));
    expect(output).not.toMatch(keptRow(paid.sub));
  },
  "resync --all": async () => {
    const rows = await rowsById();
    expect(rows[paid.sub]).toMatchObject({ grant_plan: "paid" });
    expect(rows[vip.sub]).toMatchObject({ stripe_customer_id: linkedBefore });
    expect(rows[stranger]).toMatchObject({ grant_plan: "vip" });
  },
  "admin-delete-user": async () => expect(Object.keys(await rowsById())).not.toContain(paid.sub),
  "pulumi destroy": () => {
    expect(cloud.runpod.account.endpoints).toEqual([]);
    expect(cloud.aws.account.list("aws:dynamodb/table:Table")).toEqual([]);
  },
};

describe("An operator with the runbook alone, in the local cloud", () => {
  // A block needs the blocks before it, as in a terminal.
  let failed = false;
  it.each(blocks.map((block, index) => ({ ...block, index })))(
    "runs block $index: $heading",
    async ({ commands }) => {
      if (failed) throw new Error("An earlier block has failed.");
      failed = true;
      const matching = <T>(by: Record<string, T>) =>
        Object.entries(by).flatMap(([words, value]) => (commands.includes(words) ? [value] : []));
      for (const fault of matching(faults)) await fault();
      const output = await runInTerminal(commands);
      for (const check of matching(results)) await check(output);
      expect(output).not.toContain("undefined");
      failed = false;
      if (commands.includes(" events")) await runFirstCommands();
    },
    minutes(15),
  );

  it("sets every secret of the local cloud", () => {
    const { secretKeys } = readStackConfig(process.cwd(), "local");
    expect([...pulumi.secretsSet].sort()).toEqual(secretKeys.sort());
  });
});

/** First commands of all alarms that have already run. */
const ran = new Set<string>();

/** Runs the first command of every alarm, once. */
async function runFirstCommands(): Promise<void> {
  const alarms = [...compositeAlarms, ...metricAlarms({ hourlyUsd: 5 })];
  for (const { run } of alarms) {
    if (ran.has(run)) continue;
    ran.add(run);
    await runInTerminal(run.replaceAll("<stack>", "local"));
  }
}

/** Commands in the text that no block runs: other tests run them, or they ask questions. */
const others = ["npm start", "npm run drill", "aws configure sso", "aws dynamodb", "git checkout"];

describe("The runbook", () => {
  it("has the same commands in both languages", () => {
    const commandsOf = (page: string) => shellBlocks(page).map(({ commands }) => withoutComments(commands));
    expect(commandsOf(readFileSync(pages.japanese, "utf8"))).toEqual(commandsOf(english));
  });

  it.each(Object.entries(pages))("names no command in its text that no block runs (%s)", (_, page) => {
    const text = readFileSync(page, "utf8").split("<!-- Alarms:")[0] ?? "";
    const run = blocks.map(({ commands }) => withoutComments(commands)).join("\n");
    // A command of gh needs all its options: without --env, it sets a secret that no environment reads.
    const isRun = (command: string) =>
      others.includes(command) ||
      (command.startsWith("gh ") ? run.split("\n").includes(command) : run.includes(command));
    expect(commandsInText(text).filter((command) => !isRun(command))).toEqual([]);
  });

  it.each([
    "pulumi up --refrsh",
    "pulumi stack-output apiUrl",
    "aws dynamodb restore-table --table-name x",
    "gh variable set AWS_REGION",
    "npm run docter",
  ])("fails for a command that does not exist: %s", async (command) => {
    await expect(runInTerminal(command)).rejects.toThrow(/ended with/);
  });
});
